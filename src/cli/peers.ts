import type { Static } from '@sinclair/typebox'
import type { ClosedAnswer, Peer } from '../../plugins/admin/api/peers.ts'
import { ABOUT_SERVER, openAdminClient, SERVER_EXITS, SERVER_OPTIONS } from './admin-client.ts'
import { type Command, EXIT } from './command.ts'
import { FULL, LIMIT, printJson, printList } from './output.ts'
import { agoOf, counted, plain, shortName, size } from './words.ts'

type PeerFacts = Static<typeof Peer>
const total = ({ sessions }: PeerFacts, what: (session: PeerFacts['sessions'][number]) => number) =>
  sessions.reduce((sum, session) => sum + what(session), 0)

export const peers: Command = {
  name: 'peers',
  summary: 'who is connected; close sessions',
  about: [ABOUT_SERVER, 'Peers are those of that very process.'],
  options: SERVER_OPTIONS,
  exits: SERVER_EXITS,
  actions: [
    {
      name: '',
      about: 'list connected peers',
      options: { network: { value: 'NAME', about: 'only this network' }, ...LIMIT, ...FULL },
      run: async (call, io) => {
        const client = await openAdminClient(call, io)
        const found = await client.list<PeerFacts>(['peers'], 'peers', call.count('limit'), {
          network: call.text('network')
        })
        const name = call.flag('full') ? plain : shortName
        const now = Date.now()
        return printList('peer', found, call, io, [
          { head: 'NETWORK', cell: ({ network }) => name(network) },
          { head: 'PEER', cell: ({ peer }) => name(peer) },
          { head: 'SESSIONS', cell: ({ sessions }) => String(sessions.length), right: true },
          { head: 'CAME', cell: ({ sessions }) => agoOf(sessions[0]!.connectedAt, now) },
          { head: 'FROM', cell: ({ sessions }) => plain(sessions[0]!.address) },
          { head: 'RECEIPT', cell: ({ sessions }) => [...new Set(sessions.map(({ receipt }) => receipt))].join(' ') },
          { head: 'UNRECEIPTED', cell: (peer) => String(total(peer, ({ window }) => window.messages)), right: true },
          { head: 'BUFFERED', cell: (peer) => size(total(peer, ({ bufferedBytes }) => bufferedBytes)), right: true }
        ])
      }
    },
    {
      name: 'close',
      takes: ['NETWORK', 'PEER'],
      about: 'close its sessions with code 4004; it may come back, and its messages wait for it',
      run: async (call, io) => {
        const [network = '', peer = ''] = call.args
        const client = await openAdminClient(call, io)
        const answer = await client.change<Static<typeof ClosedAnswer>>('DELETE', ['peers', network, peer])
        if (call.flag('json')) printJson(answer, io)
        else io.stdout.write(`${counted(answer.closed, 'session')} of ${plain(peer)} in ${plain(network)} closed.\n`)
        return EXIT.ok
      }
    }
  ]
}
