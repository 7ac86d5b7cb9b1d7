import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { startPostgres } from '../helpers/database.ts'
import { openPeer, type Peer, quickIdentity, registerFrame, roundTrip } from '../helpers/peer.ts'
import { startFrameProxy, startTcpProxy } from '../helpers/proxy.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

type Identity = Peer['identity']

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

async function waiting(server: TestServer): Promise<number> {
  await server.app.mailboxes.drained()
  const [row] = await server.app.database.sql`select count(*)::int as n from queue_entry`
  return row!.n
}

async function metric(server: TestServer, line: string): Promise<string | undefined> {
  const text = await (await fetch(`${server.addresses.http}/metrics`)).text()
  return text
    .split('\n')
    .find((each) => each.startsWith(line))
    ?.split(' ')
    .at(-1)
}

/** Registers on a connection of its own making, with features if wanted. */
async function joinBy(peer: Peer, clientId: string, identity: Identity, features?: string[]) {
  peer.send(await registerFrame(clientId, identity, features === undefined ? {} : { features }))
  assert.equal((await peer.next()).type, 'register')
}

test('a message leaves its mailbox when the pong of a ping behind it came, not before', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const bob = await openPeer(t, server.addresses.signaling, { autoPong: false })
  const pings: Buffer[] = []
  bob.ws.on('ping', (data) => pings.push(data))
  await joinBy(bob, 'bob', await quickIdentity())
  for (let n = 1; n <= 10; n++) alice.send(send('bob', n))
  for (let n = 1; n <= 10; n++) await bob.next('message')
  await setTimeout(100)
  assert.equal(await waiting(server), 10)
  assert.equal(pings.length, 1)
  bob.ws.pong(Buffer.from('something else'))
  bob.ws.pong('')
  await setTimeout(50)
  assert.equal(await waiting(server), 10)
  bob.ws.pong(pings[0])
  await server.emptied()
  assert.equal(await metric(server, 'demos_relay_messages_delivered_total{protocol="signaling",receipt="pong"}'), '10')
})

test('a receipt that comes while Postgres is away is written when Postgres is back', async (t) => {
  const postgres = await startPostgres(t)
  const server = await startTestServer(t, { DATABASE_URL: postgres.url('demos_relay'), DATABASE_DEADLINE_MS: 1_000 })
  const alice = await server.join('alice')
  const bob = await openPeer(t, server.addresses.signaling, { autoPong: false })
  await joinBy(bob, 'bob', await quickIdentity())
  const ping = once(bob.ws, 'ping')
  alice.send(send('bob', 'received while Postgres was away'))
  await bob.next('message')
  const [payload] = await ping
  await postgres.kill()
  bob.ws.pong(payload)
  await setTimeout(1_500) // longer than a release takes to fail
  await postgres.start()
  await server.emptied()
})

test('what was received is not sent again to a recipient that comes back before its release is written', async (t) => {
  const server = await startTestServer(t)
  const { sql } = server.app.database
  const owner = await quickIdentity()
  const alice = await server.join('alice')
  const bob = await openPeer(t, server.addresses.signaling, { autoPong: false })
  await joinBy(bob, 'bob', owner)
  const ping = once(bob.ws, 'ping')
  alice.send(send('bob', 'once'))
  await bob.next('message')
  const [payload] = await ping
  await sql.begin(async (tx) => {
    await tx`select from queue_entry for update` // the release waits for this transaction
    bob.ws.pong(payload)
    await bob.close()
    const again = await server.join('bob', owner)
    await again.nothingMore()
    alice.send(send('bob', 'the next'))
    assert.equal((await again.next('message')).payload.message, 'the next')
  })
  await server.emptied()
})

test('what a dead client never read is delivered at its next registration, in order and once', async (t) => {
  const server = await startTestServer(t)
  const proxy = await startTcpProxy(t, server.addresses.signaling)
  const owner = await quickIdentity()
  const alice = await server.join('alice')
  const bob = await openPeer(t, proxy.url)
  await joinBy(bob, 'bob', owner)
  alice.send(send('bob', 1))
  await bob.next('message')
  await server.emptied()
  proxy.freeze() // half open: the server's writes still succeed
  for (let n = 2; n <= 50; n++) alice.send(send('bob', n))
  await alice.nothingMore()
  const again = await server.join('bob', owner) // the dead predecessor gives way after 2 s
  for (let n = 2; n <= 50; n++) assert.equal((await again.next('message')).payload.message, n)
  await again.nothingMore()
  await server.emptied()
})

test('a peer from which nothing comes is closed, what it was sent stays', async (t) => {
  const server = await startTestServer(t, { PONG_DEADLINE_SECONDS: 1 })
  const alice = await server.join('alice')
  const bob = await openPeer(t, server.addresses.signaling, { autoPong: false })
  await joinBy(bob, 'bob', await quickIdentity())
  alice.send(send('bob', 'never answered'))
  await bob.next('message')
  await bob.closed
  assert.equal((await alice.next('peer_disconnected')).payload.peerId, 'bob')
  assert.equal(await waiting(server), 1)
  assert.equal(
    await metric(server, 'demos_relay_sockets_closed_total{protocol="signaling",reason="unresponsive"}'),
    '1'
  )
})

test('a quiet peer that answers pings stays, one that does not is found by the heartbeat', async (t) => {
  const server = await startTestServer(t, { HEARTBEAT_SECONDS: 1, PONG_DEADLINE_SECONDS: 1 })
  const alice = await server.join('alice')
  const dead = await openPeer(t, server.addresses.signaling, { autoPong: false })
  await joinBy(dead, 'dead', await quickIdentity())
  await dead.closed
  await setTimeout(1_500)
  await roundTrip(alice)
})

test('a proxy that answers pings is found by the second pong, and the session falls back to none', async (t) => {
  const server = await startTestServer(t)
  const url = await startFrameProxy(t, server.addresses.signaling)
  const alice = await server.join('alice')
  const bob = await openPeer(t, url)
  await joinBy(bob, 'bob', await quickIdentity())
  for (let n = 1; n <= 3; n++) {
    alice.send(send('bob', n))
    assert.equal((await bob.next('message')).payload.message, n)
    await server.emptied()
    await setTimeout(50)
  }
  assert.equal(await metric(server, 'demos_relay_proxy_pongs_total{protocol="signaling"}'), '1')
  assert.equal(await metric(server, 'demos_relay_messages_delivered_total{protocol="signaling",receipt="none"}'), '2')
})

test('a client that offers to acknowledge is believed alone: pongs release nothing', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const owner = await quickIdentity()
  const bob = await server.peer()
  await joinBy(bob, 'bob', owner, ['ack', 'something-new'])
  const seqs: number[] = []
  for (let n = 1; n <= 5; n++) alice.send(send('bob', n))
  for (let n = 1; n <= 5; n++) seqs.push((await bob.next('message')).payload.seq)
  await setTimeout(100)
  assert.equal(await waiting(server), 5)
  bob.send({ type: 'ack', payload: { seq: seqs[2] } })
  bob.send({ type: 'ack', payload: { seq: 999_999_999 - 999_999_998 } }) // long gone: ignored
  await bob.nothingMore()
  assert.equal(await waiting(server), 2)
  await bob.close()
  const again = await server.peer()
  await joinBy(again, 'bob', owner, ['ack'])
  assert.deepEqual([(await again.next()).payload.message, (await again.next()).payload.message], [4, 5])
})

test('an L2PS client may acknowledge by messageHash, in any order', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const bob = await server.l2psPeer()
  const { registerFrame: l2psRegister, sendFrame, keyOf } = await import('../helpers/l2ps-peer.ts')
  const { quickSigner } = await import('../helpers/peer.ts')
  const signer = await quickSigner()
  const frame = await l2psRegister(signer, 'net')
  await bob.answerTo(bob.send({ ...frame, payload: { ...frame.payload, features: ['ack'] } }))
  for (const hash of ['a', 'b', 'c']) await alice.answerTo(alice.send(sendFrame(keyOf(signer), 'AAAA', hash)))
  for (const hash of ['a', 'b', 'c']) assert.equal((await bob.next('message')).payload.messageHash, hash)
  for (const hash of ['b', 'c', 'unknown']) bob.send('ack', { messageHash: hash })
  await bob.answerTo(bob.send('discover', {}))
  assert.equal(await waiting(server), 1)
  bob.send('ack', { messageHash: 'a' })
  await server.emptied()
})

test('old clients see no field they do not know', async (t) => {
  const server = await startTestServer(t)
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  alice.send(send('bob', 'x'))
  assert.deepEqual(await bob.next(), { type: 'message', payload: { message: 'x', fromId: 'alice' } })
})

for (const [how, redelivered] of [
  ['without a close frame', true],
  ['with a close frame', false]
] as const) {
  test(`what a browser receipted just before it went ${how} is delivered again: ${redelivered}`, async (t) => {
    const server = await startTestServer(t)
    const owner = await quickIdentity()
    const alice = await server.join('alice')
    const tab = await openPeer(t, server.addresses.signaling, { origin: 'https://app.example' })
    await joinBy(tab, 'bob', owner)
    alice.send(send('bob', 'seen?'))
    await tab.next('message')
    await setTimeout(100) // its pong is back
    if (redelivered) tab.terminate()
    else await tab.close()
    await alice.next('peer_disconnected')
    const again = await server.join('bob', owner)
    if (redelivered) assert.equal((await again.next('message')).payload.message, 'seen?')
    await server.emptied()
    await again.nothingMore()
  })
}

test('after its grace a message receipted by a browser is gone for good', async (t) => {
  const server = await startTestServer(t, { RECEIPT_GRACE_SECONDS: 1 })
  const alice = await server.join('alice')
  const tab = await openPeer(t, server.addresses.signaling, { origin: 'https://app.example' })
  await joinBy(tab, 'bob', await quickIdentity())
  alice.send(send('bob', 'seen'))
  await tab.next('message')
  await setTimeout(200)
  assert.equal(await waiting(server), 1)
  await server.emptied()
})

test('RECEIPTS=none takes a message off when it was written', async (t) => {
  const server = await startTestServer(t, { RECEIPTS: 'none' })
  const alice = await server.join('alice')
  const bob = await openPeer(t, server.addresses.signaling, { autoPong: false })
  await joinBy(bob, 'bob', await quickIdentity())
  alice.send(send('bob', 1))
  await bob.next('message')
  await server.emptied()
})

test('a reader that stops is sent at most its window, loses nothing, and is closed after a deadline', async (t) => {
  const server = await startTestServer(t, {
    STALL_DEADLINE_SECONDS: 6,
    PONG_DEADLINE_SECONDS: 60,
    WINDOW_BYTES: 1_048_576
  })
  const owner = await quickIdentity()
  const [alice, carol] = [await server.join('alice'), await server.join('carol')]
  const bob = await server.join('bob', owner)
  bob.ws.pause()
  const body = 'x'.repeat(100_000)
  for (let n = 0; n < 100; n++) alice.send(send('bob', { n, body }))
  await alice.nothingMore()
  const member = server.app.presence.sessions('signaling', 'bob')[0]!
  const { bytes } = member.delivery.unreceipted
  assert.ok(bytes <= 1_048_576 + 110_000, `${bytes} bytes are on their way`)
  carol.send(send('alice', 'others are not held up'))
  await alice.next('message')
  while (server.app.presence.sessions('signaling', 'bob').length > 0) await setTimeout(100)
  const again = await server.join('bob', owner)
  for (let n = 0; n < 100; n++) assert.equal((await again.next('message')).payload.message.n, n)
  await again.nothingMore()
})

test('a backlog far larger than the window drains in order', async (t) => {
  const server = await startTestServer(t, { SIGNALING_QUOTA_PER_SENDER: 10_000, WINDOW_MESSAGES: 16 })
  const alice = await server.join('alice')
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  for (let n = 0; n < 3_000; n++) alice.send(send('bob', { n }))
  const bob = await server.join('bob', owner)
  for (let n = 0; n < 3_000; n++) assert.equal((await bob.next('message')).payload.message.n, n)
  await server.emptied()
})
