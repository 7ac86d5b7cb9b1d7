// The process behind startPeerProcess(): runs the peers it is told to, and passes on what they hear.
import type { Command, Reply } from './peer-process.ts'
import { type PeerGroup, startPeers } from './peers.ts'

let group: PeerGroup | undefined
const tell = (reply: Reply) => void process.send?.(reply)

process.on('disconnect', () => process.exit(0))
process.on('message', async (command: Command) => {
  const { call } = command
  try {
    if (command.do === 'start') group = await startPeers(command.plan, (event) => tell({ event }))
    else if (command.do === 'disturb') await group?.disturb(command.name, command.isRestless)
    else await group?.[command.do]()
    tell({ call })
  } catch (error) {
    tell({ call, error: (error as Error).message })
  }
})
