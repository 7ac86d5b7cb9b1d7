// A socket that was replaced does not speak for its peer any more, whatever it still says (docs/protocol.md, 1.9).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { openPeer, type Peer, quickIdentity, registerFrame, roundTrip } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

/** A socket of bob's that has a message and the ping behind it, answers nothing, and reads nothing more. */
async function deafBob(t: TestContext, server: TestServer, alice: Peer, identity: Peer['identity']) {
  const bob = await openPeer(t, server.addresses.signaling, { autoPong: false })
  await bob.register('bob', identity)
  const pinged = once(bob.ws, 'ping')
  alice.send({ type: 'message', payload: { targetId: 'bob', message: 'for bob' } })
  assert.equal((await bob.next('message')).payload.message, 'for bob')
  const [ping] = await pinged
  bob.ws.pause() // neither the next ping nor the close frame reaches it
  return { bob, ping: ping as Buffer }
}

/** Bob again, on a socket that acknowledges by itself: nothing leaves his mailbox until he says so. */
async function secondBob(t: TestContext, server: TestServer, identity: Peer['identity']) {
  const bob = await openPeer(t, server.addresses.signaling)
  bob.send(await registerFrame('bob', identity, { features: ['ack'] }))
  assert.equal((await bob.next(undefined, 10_000)).type, 'register')
  return bob
}

async function replace(t: TestContext) {
  const server = await startTestServer(t)
  const identity = await quickIdentity()
  const alice = await server.join('alice')
  const old = await deafBob(t, server, alice, identity)
  const bob = await secondBob(t, server, identity)
  assert.equal((await bob.next('message')).payload.message, 'for bob')
  return { server, alice, old: old.bob, ping: old.ping, bob }
}

const closed = (server: TestServer) => until('the old socket is gone', () => server.app.sessions.size === 2)

test('a frame of a replaced socket has no effect', async (t) => {
  const { server, alice, old, bob } = await replace(t)
  old.send({ type: 'message', payload: { targetId: 'alice', message: 'from the old socket' } })
  await closed(server)
  bob.send({ type: 'message', payload: { targetId: 'alice', message: 'from the new socket' } })
  assert.equal((await alice.next('message')).payload.message, 'from the new socket')
  const more = (await roundTrip(alice)).map(({ type }) => type)
  assert.deepEqual(
    more.filter((type) => type !== 'peer_disconnected'), // bob was away while the sockets changed, perhaps long enough
    []
  )
})

test('a pong of a replaced socket releases nothing', async (t) => {
  const { server, old, ping, bob } = await replace(t)
  old.ws.pong(ping)
  await closed(server)
  await server.app.mailboxes.drained()
  const [row] = await server.app.database.sql`select count(*)::int as waiting, min(seq) as seq from queue_entry`
  assert.equal(row?.waiting, 1)
  bob.send({ type: 'ack', payload: { seq: row?.seq } })
  await server.emptied()
})
