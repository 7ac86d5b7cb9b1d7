import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { quickIdentity, registerFrame } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

test('a peer that proves its key is registered, and hears so first', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.peer()
  assert.deepEqual(await alice.register('alice', await createIdentity()), {
    type: 'register',
    payload: { success: true, clientId: 'alice' }
  })
  await alice.nothingMore()
})

test('every algorithm of the protocol registers', async (t) => {
  const server = await startTestServer(t)
  for (const algorithm of ['ed25519', 'ml-dsa'] as const) {
    await (await server.peer()).register(algorithm, await createIdentity({ algorithm }))
  }
})

test('a proof over another key than the registered one is refused', async (t) => {
  const server = await startTestServer(t)
  const peer = await server.peer()
  const frame = await registerFrame('alice', await quickIdentity(), { publicKey: [1, 2, 3] })
  peer.send(frame)
  const { payload } = await peer.next('error').catch(() => peer.next())
  assert.equal(payload.errorType, 'INVALID_PROOF')
  await peer.nothingMore()
})

test('a client id belongs to the first signing key, online and offline', async (t) => {
  const server = await startTestServer(t)
  const owner = await quickIdentity()
  const alice = await server.join('alice', owner)
  const thief = await server.peer()
  const attempt = async () => {
    thief.send(await registerFrame('alice', await quickIdentity()))
    return (await thief.next()).payload.errorType
  }
  assert.equal(await attempt(), 'CLIENT_ID_TAKEN')
  await alice.close()
  assert.equal(await attempt(), 'CLIENT_ID_TAKEN')
  await server.join('alice', owner)
})

test('ownership of a client id survives a restart', async (t) => {
  const first = await startTestServer(t)
  const owner = await quickIdentity()
  await first.join('alice', owner)
  await first.close()
  const second = await startTestServer(t, { DATABASE_URL: first.databaseUrl })
  const thief = await second.peer()
  thief.send(await registerFrame('alice', await quickIdentity()))
  assert.equal((await thief.next()).payload.errorType, 'CLIENT_ID_TAKEN')
  await second.join('alice', owner)
})

test('a second socket of the same owner is refused while the first one answers a ping', async (t) => {
  const server = await startTestServer(t)
  const owner = await quickIdentity()
  const first = await server.join('alice', owner)
  const second = await server.peer()
  second.send(await registerFrame('alice', owner))
  assert.equal((await second.next()).payload.errorType, 'CLIENT_ID_TAKEN')
  await first.nothingMore()
})

test('a predecessor that does not answer a ping within two seconds gives way', async (t) => {
  const server = await startTestServer(t)
  const owner = await quickIdentity()
  const dead = await server.join('alice', owner)
  dead.ws.pause() // reads nothing any more: no pong, as with a connection that was cut silently
  const heir = await server.join('alice', owner)
  const bob = await server.join('bob')
  bob.send({ type: 'message', payload: { targetId: 'alice', message: 'to the living' } })
  assert.equal((await heir.next('message')).payload.message, 'to the living')
  dead.ws.resume()
  assert.equal((await dead.closed).code, 4000)
})

test('of many sockets that register one id at the same instant exactly one wins', async (t) => {
  const server = await startTestServer(t)
  for (let round = 0; round < 10; round++) {
    const same = await quickIdentity()
    const peers = await Promise.all(Array.from({ length: 6 }, () => server.peer()))
    const identities = await Promise.all(peers.map((_, at) => (at % 2 === 0 ? same : quickIdentity())))
    const frames = await Promise.all(identities.map((identity) => registerFrame(`name-${round}`, identity)))
    peers.forEach((peer, at) => void peer.send(frames[at]))
    const replies = await Promise.all(peers.map((peer) => peer.next()))
    assert.equal(replies.filter((reply) => reply.type === 'register').length, 1, `round ${round}`)
    const others = replies.filter((reply) => reply.type !== 'register')
    assert.ok(others.every((reply) => reply.payload.errorType === 'CLIENT_ID_TAKEN'))
    for (const peer of peers) peer.terminate()
  }
})

test('a repeated register of the same peer is answered again and changes nothing', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  await alice.register('alice', alice.identity)
  alice.send({ type: 'discover', payload: {} })
  assert.deepEqual((await alice.next('discover')).payload.peers, ['alice'])
})

test('a socket cannot become another peer', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  alice.send(await registerFrame('mallory', await quickIdentity()))
  assert.equal((await alice.next()).payload.errorType, 'INVALID_MESSAGE')
  alice.send({ type: 'discover', payload: {} })
  assert.deepEqual((await alice.next('discover')).payload.peers, ['alice'])
})

test('a name that was idle for long, with an empty mailbox, is free again', async (t) => {
  const server = await startTestServer(t, { IDENTITY_IDLE_DAYS: 30 })
  const alice = await server.join('alice')
  const bob = await server.join('bob')
  await alice.close()
  const { sql } = server.app.database
  const claim = async () => {
    const heir = await server.peer()
    heir.send(await registerFrame('alice', await quickIdentity()))
    const reply = await heir.next()
    heir.terminate()
    return reply.payload.errorType ?? reply.type
  }
  await sql`update identity set last_seen_at = now() - interval '29 days' where peer = 'alice'`
  assert.equal(await claim(), 'CLIENT_ID_TAKEN')
  await sql`update identity set last_seen_at = now() - interval '31 days' where peer = 'alice'`
  bob.send({ type: 'message', payload: { targetId: 'alice', message: 1 } })
  await bob.next('message_queued')
  assert.equal(await claim(), 'CLIENT_ID_TAKEN') // something waits for its owner
  await sql`delete from queue_entry`
  assert.equal(await claim(), 'register')
})

test('when an idle name has gone to another key, senders and the owner that comes back are told', async (t) => {
  const server = await startTestServer(t, { IDENTITY_IDLE_DAYS: 30 })
  const [owner, heir] = [await quickIdentity(), await quickIdentity()]
  await (await server.join('alice', owner)).close()
  const bob = await server.join('bob')
  const keyOfAlice = async () => {
    bob.send({ type: 'request_public_key', payload: { targetId: 'alice' } })
    return (await bob.next('public_key_response')).payload
  }
  const register = async (identity: typeof owner) => {
    const peer = await server.peer()
    peer.send(await registerFrame('alice', identity))
    const reply = await peer.next()
    await peer.close()
    return reply.payload
  }
  assert.equal('ownerChangedAt' in (await keyOfAlice()), false)
  await server.app.database.sql`update identity set last_seen_at = now() - interval '31 days' where peer = 'alice'`
  const before = Date.now()
  assert.equal((await register(heir)).success, true)
  const { ownerChangedAt } = await keyOfAlice()
  assert.ok(ownerChangedAt > before - 60_000 && ownerChangedAt < Date.now() + 60_000)
  await register(heir)
  assert.equal((await keyOfAlice()).ownerChangedAt, ownerChangedAt, 'also when it comes back')
  server.app.identities.clear()
  assert.equal((await keyOfAlice()).ownerChangedAt, ownerChangedAt, 'also when it is looked up')
  const { errorType, details } = await register(owner)
  assert.equal(errorType, 'CLIENT_ID_TAKEN')
  assert.match(details, /^Client ID alice is already taken: it was unused for so long/)
  assert.doesNotMatch((await register(await quickIdentity())).details, /unused/)
})

test('a socket that does not register in time is closed, a registered one is not', async (t) => {
  const server = await startTestServer(t, { REGISTRATION_DEADLINE_SECONDS: 1 })
  const alice = await server.join('alice')
  const idle = await server.peer()
  assert.equal((await idle.closed).code, 4001)
  await alice.nothingMore()
})

test('a socket that fails to register again and again is closed', async (t) => {
  const server = await startTestServer(t, { MAX_FAILED_REGISTRATIONS_PER_SOCKET: 2 })
  const peer = await server.peer()
  const frame = await registerFrame('alice', await quickIdentity(), { publicKey: [1] })
  for (let attempt = 0; attempt < 3; attempt++) {
    peer.send(frame)
    assert.equal((await peer.next()).payload.errorType, 'INVALID_PROOF')
  }
  assert.equal((await peer.closed).code, 1008)
})

test('an address whose proofs keep failing is not verified for any more', async (t) => {
  const server = await startTestServer(t, { MAX_FAILED_PROOFS_PER_ADDRESS: 2 })
  const peer = await server.peer()
  const forged = await registerFrame('alice', await quickIdentity())
  forged.payload.verification.serializedSignedData = Buffer.alloc(64).toString('base64')
  const types: string[] = []
  for (let attempt = 0; attempt < 3; attempt++) {
    peer.send(forged)
    types.push((await peer.next()).payload.errorType)
  }
  assert.deepEqual(types, ['INVALID_PROOF', 'INVALID_PROOF', 'INTERNAL_ERROR'])
})

test('too many unregistered sockets of one address are refused before the upgrade', async (t) => {
  const server = await startTestServer(t, { MAX_UNREGISTERED_PER_ADDRESS: 2 })
  const alice = await server.join('alice')
  await server.peer()
  await server.peer()
  await assert.rejects(server.peer(), /429/)
  await alice.nothingMore()
})

test('a recorded L2PS proof does not register a signaling name', async (t) => {
  const server = await startTestServer(t)
  for (const text of [`register:${'ab'.repeat(32)}:1750000000000`, `history:${'ab'.repeat(32)}:1`, 'Register:x:1']) {
    const recorded = await quickIdentity(new TextEncoder().encode(text))
    const thief = await server.peer()
    thief.send(await registerFrame('victim', recorded))
    assert.equal((await thief.next()).payload.errorType, 'INVALID_PROOF')
  }
})

test('a queue of claims that is full says busy, and nothing of an owner that comes', async (t) => {
  const server = await startTestServer(t)
  const owner = await quickIdentity()
  const first = await server.join('alice', owner)
  await first.close()
  const strangers = await Promise.all(Array.from({ length: 12 }, () => server.peer()))
  const frames = await Promise.all(strangers.map(async () => registerFrame('alice', await quickIdentity())))
  for (let round = 0; round < 10; round++) strangers.forEach((stranger, at) => void stranger.send(frames[at]))
  const returned = await server.join('alice', owner)
  await returned.nothingMore()
  for (const stranger of strangers) {
    assert.equal((await stranger.next()).payload.errorType, 'CLIENT_ID_TAKEN')
  }
})

test('who goes on claiming a name of another is closed', async (t) => {
  const server = await startTestServer(t, { MAX_FAILED_REGISTRATIONS_PER_SOCKET: 3 })
  await server.join('alice')
  const stranger = await server.peer()
  const frame = await registerFrame('alice', await quickIdentity())
  for (let n = 0; n < 4; n++) stranger.send(frame)
  assert.equal((await stranger.closed).code, 1008)
})
