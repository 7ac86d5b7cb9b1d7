// A server with something to show: peers of both protocols, traffic, and messages that wait.
import type { L2psPeer } from '../helpers/l2ps-peer.ts'
import { sendFrame } from '../helpers/l2ps-peer.ts'
import type { Peer } from '../helpers/peer.ts'
import type { TestServer } from '../helpers/server.ts'

export interface Busy {
  readonly alice: Peer
  readonly bob: Peer
  readonly ann: L2psPeer
  /** One message each way, received; resolves when both have theirs. */
  exchange(): Promise<void>
}

/** alice and bob in signaling, ann in `team`, and a little that waits for carol and for somebody of `team`. */
export async function makeBusy(server: TestServer): Promise<Busy> {
  await server.addNetworks('team', { uid: 'closed-circle', members: ['a'.repeat(64), 'b'.repeat(64)] })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  const ann = await server.enter('team')
  await queue(alice, 'carol', 3)
  ann.send(sendFrame('c'.repeat(64)))
  await ann.next('message_queued')
  return {
    alice,
    bob,
    ann,
    exchange: async () => {
      alice.send({ type: 'message', payload: { targetId: 'bob', message: 'sealed' } })
      bob.send({ type: 'message', payload: { targetId: 'alice', message: 'sealed' } })
      await Promise.all([alice.next('message'), bob.next('message')])
    }
  }
}

/** Messages for a peer that is away. */
export async function queue(sender: Peer, targetId: string, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    sender.send({ type: 'message', payload: { targetId, message: `sealed ${n}` } })
    await sender.next('message_queued')
  }
}
