import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSigner } from '../../client/src/identity.ts'
import { keyOf, openL2psPeer, registerFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

test('a key with a fresh proof is registered and hears who is there, the others hear of it', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const bob = await server.l2psPeer()
  const { payload } = await bob.register('net')
  assert.deepEqual(payload, { success: true, publicKey: bob.key, l2psUid: 'net', onlinePeers: [alice.key] })
  assert.deepEqual((await alice.next('peer_joined')).payload, { publicKey: bob.key })
  await bob.nothingMore()
  await bob.close()
  assert.deepEqual((await alice.next('peer_left')).payload, { publicKey: bob.key })
  await alice.nothingMore()
})

test('both doors serve L2PS on /l2ps, its own door also at /', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  for (const url of [server.addresses.l2ps!, `${server.addresses.l2ps}/l2ps`, `${server.addresses.signaling}/l2ps`]) {
    await (await openL2psPeer(t, url)).register('net')
  }
  const plain = await fetch(server.addresses.l2ps!.replace('ws:', 'http:'))
  assert.equal(plain.status, 426)
  assert.match((await plain.json()).message, /l2ps/)
})

test('L2PS that is turned off has no door and no path', async (t) => {
  const server = await startTestServer(t, { L2PS_MESSAGING_ENABLED: 'false' })
  assert.equal(server.addresses.l2ps, undefined)
  await assert.rejects(openL2psPeer(t, `${server.addresses.signaling}/l2ps`), /404/)
})

test('Falcon and ML-DSA keys are told by their length', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const signer = await createSigner('ml-dsa', crypto.getRandomValues(new Uint8Array(32)))
  const alice = await server.enter('net', signer)
  const bob = await server.enter('net')
  assert.equal((await alice.next('peer_joined')).payload.publicKey, bob.key)
  const requestId = bob.send('discover', {})
  assert.deepEqual((await bob.answerTo(requestId)).payload.peers, [bob.key, alice.key], 'by their addresses')
  assert.equal(alice.key.length, 3904)
})

test('a network that is unknown, disabled or not for this key is not found', async (t) => {
  const server = await startTestServer(t)
  const member = await quickSigner()
  await server.addNetworks({ uid: 'club', members: [keyOf(member)] }, 'closed')
  await server.app.database.sql`update l2ps_network set enabled = false where uid = 'closed'`
  await server.app.networks.refresh()
  const stranger = await server.l2psPeer()
  for (const uid of ['nowhere', 'club', 'closed', '../club', 'signaling', '__proto__']) {
    const requestId = stranger.send(await registerFrame(await quickSigner(), uid))
    const { payload } = await stranger.answerTo(requestId)
    assert.deepEqual(payload, { code: 'L2PS_NOT_FOUND', message: `L2PS network ${uid} not found` })
  }
  await server.enter('club', member)
})

test('those inside are shown out when their network is disabled or their membership ends', async (t) => {
  const server = await startTestServer(t)
  const [first, second] = [await quickSigner(), await quickSigner()]
  await server.addNetworks({ uid: 'club', members: [keyOf(first), keyOf(second)] }, 'other')
  const [alice, bob, carol] = [
    await server.enter('club', first),
    await server.enter('club', second),
    await server.enter('other')
  ]
  await server.app.database.sql`delete from l2ps_member where peer = ${bob.key}`
  await server.app.networks.refresh()
  assert.equal((await bob.closed).code, 4003)
  await server.app.database.sql`update l2ps_network set enabled = false where uid = 'club'`
  await server.app.networks.refresh()
  assert.equal((await alice.closed).code, 4003)
  await carol.nothingMore()
})

test('one key in any letter case is one peer, and is echoed as it spelled itself', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const signer = await quickSigner()
  const watcher = await server.enter('net')
  const lower = await server.enter('net', signer)
  await watcher.next('peer_joined')
  const upper = await server.l2psPeer()
  const publicKey = keyOf(signer).toUpperCase()
  const requestId = upper.send(await registerFrame(signer, 'net', { publicKey }))
  const { payload } = await upper.answerTo(requestId)
  assert.deepEqual([payload.publicKey, payload.onlinePeers], [publicKey, [watcher.key]])
  const self = upper.send('send', { to: lower.key, encrypted: { ciphertext: 'A', nonce: 'A' }, messageHash: 'h' })
  assert.equal((await upper.answerTo(self)).payload.message, 'Cannot send message to yourself')
  await watcher.nothingMore() // a second socket of a peer that is here
})

test('several sockets of one key live together; joined and left are for the first and the last', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const signer = await quickSigner()
  const watcher = await server.enter('net')
  const [phone, laptop] = [await server.enter('net', signer), await server.enter('net', signer)]
  await watcher.next('peer_joined')
  const to = { to: phone.key, encrypted: { ciphertext: 'A', nonce: 'A' }, messageHash: 'both' }
  assert.equal((await watcher.answerTo(watcher.send('send', to))).type, 'message_sent')
  for (const device of [phone, laptop]) assert.equal((await device.next('message')).payload.messageHash, 'both')
  await server.emptied()
  await phone.close()
  await watcher.nothingMore()
  await laptop.close()
  assert.equal((await watcher.next('peer_left')).payload.publicKey, phone.key)
})

test('a repeated register on one socket is answered again, another key or network is refused', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net', 'other')
  const signer = await quickSigner()
  const alice = await server.l2psPeer()
  const frame = await registerFrame(signer, 'net')
  for (let time = 0; time < 3; time++) assert.equal((await alice.answerTo(alice.send(frame))).type, 'registered')
  for (const other of [await registerFrame(await quickSigner(), 'net'), await registerFrame(signer, 'other')]) {
    assert.equal((await alice.answerTo(alice.send(other))).payload.code, 'INVALID_MESSAGE')
  }
  assert.deepEqual((await alice.answerTo(alice.send('discover', {}))).payload.peers, [keyOf(signer)])
})

test('a register proof works on one socket only, in every network, also after a restart', async (t) => {
  const first = await startTestServer(t)
  await first.addNetworks('net', 'other')
  const signer = await quickSigner()
  const alice = await first.l2psPeer()
  const frame = await registerFrame(signer, 'net')
  assert.equal((await alice.answerTo(alice.send(frame))).type, 'registered')
  const replays = [frame, { ...frame, payload: { ...frame.payload, l2psUid: 'other' } }]
  const thief = await first.l2psPeer()
  for (const replay of replays) {
    assert.equal((await thief.answerTo(thief.send(replay))).payload.code, 'INVALID_PROOF')
  }
  await alice.close()
  await first.close()
  const second = await startTestServer(t, { DATABASE_URL: first.databaseUrl })
  const late = await second.l2psPeer()
  assert.equal((await late.answerTo(late.send(frame))).payload.code, 'INVALID_PROOF')
  await second.enter('net', signer)
})

test('two sockets that show one proof at the same instant: exactly one is registered', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  for (let round = 0; round < 10; round++) {
    const frame = await registerFrame(await quickSigner(), 'net')
    const peers = await Promise.all(Array.from({ length: 5 }, () => server.l2psPeer()))
    const replies = await Promise.all(peers.map((peer) => peer.answerTo(peer.send(frame))))
    assert.equal(replies.filter((reply) => reply.type === 'registered').length, 1)
    for (const peer of peers) peer.terminate()
  }
})

test('a proof outside the window is refused either way, and the refusal names the time', async (t) => {
  const now = 1_900_000_000_000
  const server = await startTestServer(t, {}, { now: () => now })
  await server.addNetworks('net')
  const register = async (timestamp: number) => {
    const peer = await server.l2psPeer()
    return (await peer.answerTo(peer.send(await registerFrame(await quickSigner(), 'net', { timestamp })))).payload
  }
  for (const timestamp of [now - 300_001, now + 300_001, 0]) {
    const { code, message } = await register(timestamp)
    assert.equal(code, 'INVALID_PROOF')
    assert.match(message, /1900000000000/)
  }
  for (const timestamp of [now - 300_000, now, now + 300_000]) assert.ok((await register(timestamp)).success)
})

test('used proofs are forgotten once they are too old to be shown again', async (t) => {
  let now = 1_900_000_000_000
  const server = await startTestServer(t, {}, { now: () => now })
  await server.addNetworks('net')
  const peer = await server.l2psPeer()
  const frame = await registerFrame(await quickSigner(), 'net', { timestamp: now + 300_000 })
  assert.equal((await peer.answerTo(peer.send(frame))).type, 'registered')
  const kept = async () => (await server.app.database.sql`select from used_proof`).count
  now += 600_000 // the last moment at which it is fresh
  await server.app.mailboxes.forget(1)
  assert.equal(await kept(), 1)
  now += 400_000
  await server.app.mailboxes.forget(1)
  assert.equal(await kept(), 0)
})

test('a peer that comes back is announced to whoever registered while it was away, however short', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const signer = await quickSigner()
  const key = keyOf(signer)
  let traveller = await server.enter('net', signer)
  for (let round = 0; round < 20; round += 1) {
    const [watcher, next] = [await server.l2psPeer(), await server.l2psPeer()]
    const frame = await registerFrame(signer, 'net')
    await traveller.close()
    await until('the peer is away', () => server.app.presence.sessions('net', key).length === 0)
    assert.deepEqual((await watcher.register('net')).payload.onlinePeers, [])
    assert.equal((await next.answerTo(next.send(frame))).type, 'registered')
    assert.deepEqual((await watcher.next()).payload, { publicKey: key })
    await watcher.nothingMore()
    await watcher.close()
    await until('the watcher is away', () => server.app.presence.size === 1)
    traveller = next
  }
})

test('a storm of newcomers is announced to those who were there, and to no newcomer twice', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const watcher = await server.enter('net')
  const crowd = await Promise.all(Array.from({ length: 40 }, () => server.enter('net')))
  const heard = new Set<string>()
  while (heard.size < crowd.length) heard.add((await watcher.next('peer_joined')).payload.publicKey)
  assert.deepEqual(heard, new Set(crowd.map((peer) => peer.key)))
  await watcher.nothingMore()
})
