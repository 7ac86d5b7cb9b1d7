import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createIdentity } from '../../client/src/identity.ts'
import { quickSigner } from '../helpers/peer.ts'
import { answer, atOnce, refuse, startFakeL2psServer } from './fake-l2ps-server.ts'
import type { ClientFrame } from './fake-server.ts'
import { body, clientFor, join } from './l2ps-clients.ts'
import { collect, next } from './waits.ts'

test('two peers see each other join, exchange messages, and see each other leave', async (t) => {
  const { url } = await startFakeL2psServer(t)
  const alice = await join(t, { url })
  const joined = next(alice.events, 'peerJoined')
  const bob = await clientFor(t, { url })
  const connected = next(bob.events, 'connected')
  await bob.connect()
  assert.deepEqual(await connected, { again: false, onlinePeers: [alice.publicKey] })
  assert.deepEqual(await joined, { publicKey: bob.publicKey })
  assert.deepEqual([[...alice.peers], [...bob.peers]], [[bob.publicKey], [alice.publicKey]])
  assert.deepEqual(await alice.discover(), [alice.publicKey, bob.publicKey])
  assert.equal(await alice.requestPublicKey(bob.publicKey), bob.publicKey)
  assert.equal(await alice.requestPublicKey('nobody'), null)

  const heard = next(bob.events, 'message')
  const sent = await alice.send(bob.publicKey, body(), { messageHash: 'hash 1' })
  assert.deepEqual(sent, { status: 'sent', messageHash: 'hash 1', l2psStatus: 'submitted' })
  assert.deepEqual(await heard, { from: alice.publicKey, encrypted: body(), messageHash: 'hash 1', offline: false })

  const left = next(alice.events, 'peerLeft')
  await bob.close()
  assert.deepEqual(await left, { publicKey: bob.publicKey })
  assert.equal(alice.peers.size, 0)
})

test('a message to an absent peer is queued and delivered with `offline` set', async (t) => {
  const { url } = await startFakeL2psServer(t)
  const [alice, bob] = [await join(t, { url }), await clientFor(t, { url })]
  const encrypted = { ...body(), ephemeralKey: '00ff' }
  const { status, messageHash } = await alice.send(bob.publicKey, encrypted)
  assert.equal(status, 'queued')
  assert.equal(messageHash, createHash('sha256').update(`${encrypted.ciphertext}:${encrypted.nonce}`).digest('hex'))
  const heard = next(bob.events, 'message')
  await bob.connect()
  assert.deepEqual(await heard, { from: alice.publicKey, encrypted, messageHash, offline: true })
})

test('frames received together with `registered` are emitted, and applied after it', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await clientFor(t, { url: server.url })
  server.intercept = (frame, socket) => {
    if (frame.type !== 'register') return false
    return atOnce(socket, () => {
      server.peers.set(socket, frame.payload.publicKey)
      answer(socket, frame, 'registered', { success: true, onlinePeers: ['early', 'gone'] })
      server.push(alice.publicKey, 'peer_left', { publicKey: 'gone' })
      server.push(alice.publicKey, 'peer_joined', { publicKey: 'late' })
      const message = { from: 'early', encrypted: body(), messageHash: 'h', offline: true }
      server.push(alice.publicKey, 'message', message)
    })
  }
  const heard = Promise.all([next(alice.events, 'message'), next(alice.events, 'connected')])
  await alice.connect()
  assert.equal((await heard)[0].messageHash, 'h')
  assert.deepEqual([...alice.peers], ['early', 'late'])
  assert.ok((await heard)[1].onlinePeers.includes('early'))
})

test('answers are matched to requests by id, in any order', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const held: (() => void)[] = []
  server.intercept = (frame, socket) => {
    const { targetId } = frame.payload
    const late = () =>
      targetId === 'refused'
        ? refuse(socket, frame, 'RATE_LIMITED', 'slower, please')
        : answer(socket, frame, 'public_key_response', { targetId: 'not looked at', publicKey: `key of ${targetId}` })
    held.push(late)
    if (held.length === 4) for (const act of held.reverse()) act()
    return true
  }
  const results = await Promise.allSettled(['a', 'b', 'refused', 'd'].map((name) => alice.requestPublicKey(name)))
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.message)),
    ['key of a', 'key of b', 'RATE_LIMITED: slower, please', 'key of d']
  )
})

test('a refusal rejects only its request, with code and message', async (t) => {
  const server = await startFakeL2psServer(t)
  const [alice, bob] = [await join(t, { url: server.url }), await join(t, { url: server.url })]
  const errors: Error[] = []
  alice.events.on('error', ({ error }) => errors.push(error))
  await alice.send(bob.publicKey, body('one'), { messageHash: 'h' })
  const again = alice.send(bob.publicKey, body('two'), { messageHash: 'h' })
  const expected = { name: 'RelayError', errorType: 'L2PS_SUBMIT_FAILED', details: 'Duplicate message' }
  await Promise.all([assert.rejects(again, expected), alice.discover()])
  assert.deepEqual(errors, [])
})

test('an error that belongs to no request is an event', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  for (const requestId of [undefined, 'req_unknown', 7]) {
    const heard = next(alice.events, 'error')
    const frame = { type: 'error', payload: { code: 'INVALID_MESSAGE', message: 'too large' }, requestId }
    for (const socket of server.peers.keys()) socket.send(JSON.stringify(frame))
    const { error } = await heard
    assert.equal(error.message, 'INVALID_MESSAGE: too large')
  }
})

test('messages to one peer are sent in the order of the calls, with a given hash or without', async (t) => {
  const server = await startFakeL2psServer(t)
  const [alice, bob] = [await join(t, { url: server.url }), await join(t, { url: server.url })]
  const heard = collect(bob.events, 'message', 20)
  const bodies = Array.from({ length: 20 }, (_, i) => body(`${i} ${'x'.repeat(i % 3 ? 0 : 50_000)}`))
  await Promise.all(bodies.map((each, i) => alice.send(bob.publicKey, each, i % 2 ? { messageHash: `hash ${i}` } : {})))
  assert.deepEqual(
    (await heard).map(({ encrypted }) => encrypted),
    bodies
  )
})

test('a frame of any shape leaves the client connected', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const raw = ['null', '7', '[]', '{"type":"message"}', '{"type":1,"payload":{}}', '{', '{"type":"error","payload":{}}']
  for (const type of ['message', 'peer_joined', 'peer_left']) raw.push(JSON.stringify({ type, payload: {} }))
  const bad = [
    { from: 'x', messageHash: 'h', encrypted: null },
    { from: 'x', messageHash: 'h', encrypted: { ciphertext: 1 } }
  ]
  for (const payload of bad) raw.push(JSON.stringify({ type: 'message', payload }))
  const errors = collect(alice.events, 'error', raw.length)
  const heard: unknown[] = []
  alice.events.on('message', (message) => heard.push(message))
  raw.unshift('{"type":"unheard_of","payload":[]}', '{"type":"registered","payload":{}}')
  for (const text of raw) for (const socket of server.peers.keys()) socket.send(text)
  await errors
  assert.deepEqual(await alice.discover(), [alice.publicKey])
  assert.deepEqual(heard, [])
})

test('an answer of another type or shape rejects with INVALID_ANSWER', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const invalid = { errorType: 'INVALID_ANSWER' }
  const answerWith = (type: string, payload: object) => {
    server.intercept = (frame, socket) => answer(socket, frame, type, payload)
  }
  answerWith('discover_response', {})
  await assert.rejects(alice.send('x', body()), invalid)
  await assert.rejects(alice.requestPublicKey('x'), invalid)
  assert.deepEqual(await alice.discover(), [])
  answerWith('public_key_response', {})
  await assert.rejects(alice.requestPublicKey('x'), invalid)
  for (const messages of [undefined, [null], [{ from: 'a', to: 'b', encrypted: body(), timestamp: 'now' }]]) {
    answerWith('history_response', { messages })
    await assert.rejects(alice.history('x'), invalid)
  }
})

test('a history proof keeps the spelling of the peer, and each page is requested when it is needed', async (t) => {
  const server = await startFakeL2psServer(t)
  const [alice, bob] = [await join(t, { url: server.url }), await join(t, { url: server.url })]
  for (let i = 0; i < 25; i++) {
    const [from, to] = i % 3 ? [alice, bob] : [bob, alice]
    await from.send(to.publicKey, body(), { messageHash: `hash ${i}` })
  }
  const newestFirst = Array.from({ length: 25 }, (_, i) => `hash ${24 - i}`)
  const page = await alice.history(bob.publicKey, { limit: 4 })
  assert.deepEqual([page.messages.map(({ messageHash }) => messageHash), page.hasMore], [newestFirst.slice(0, 4), true])
  const { messages } = await alice.history(bob.publicKey, { before: page.messages[3]!.timestamp })
  assert.equal(messages.length, 21)

  const pages = () => server.received.filter(({ type }) => type === 'history')
  const before = pages().length
  const heard: string[] = []
  for await (const { messageHash } of bob.historyOf(alice.publicKey, { pageSize: 10 })) heard.push(messageHash)
  assert.deepEqual(heard, newestFirst)
  assert.equal(pages().length, before + 3)
  for await (const { messageHash } of bob.historyOf(alice.publicKey, { pageSize: 10 })) {
    if (messageHash === 'hash 14') break // the eleventh
  }
  assert.equal(pages().length, before + 5)
  assert.deepEqual(Object.keys(pages().at(-2)!.payload), ['peerKey', 'limit', 'proof'])
  for await (const _ of bob.historyOf('somebody else')) assert.fail('there is nothing')
})

test('a history whose pages repeat ends with INVALID_ANSWER', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const read = async () => {
    for await (const _ of alice.historyOf('x'));
  }
  const message = { from: 'x', to: 'y', encrypted: body(), timestamp: 1_000 }
  for (const messages of [[], [message]]) {
    server.intercept = (frame, socket) => answer(socket, frame, 'history_response', { messages, hasMore: true })
    await assert.rejects(read(), { errorType: 'INVALID_ANSWER' })
  }
})

test('a missing answer is a TIMEOUT, and when it comes late no other request takes it', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url, requestTimeoutMs: 300 })
  const late: (() => void)[] = []
  server.intercept = (frame, socket) => {
    late.push(() => answer(socket, frame, 'discover_response', { peers: ['late'] }))
    return true
  }
  await assert.rejects(alice.discover(), { errorType: 'TIMEOUT', details: /discover within 300 ms/ })
  server.intercept = undefined
  for (const act of late) act()
  assert.deepEqual(await alice.discover(), [alice.publicKey])
})

test('one key may be connected twice with two different proofs', async (t) => {
  const server = await startFakeL2psServer(t)
  const signer = await quickSigner()
  const both = await Promise.all([clientFor(t, { url: server.url, signer }), clientFor(t, { url: server.url, signer })])
  await Promise.all(both.map((client) => client.connect()))
  assert.equal(server.usedProofs.size, 2)
})

test('an ML-DSA identity can be the signer', async (t) => {
  const server = await startFakeL2psServer(t)
  let heard: ClientFrame | undefined
  server.intercept = (frame, socket) => {
    heard = frame
    return answer(socket, frame, 'registered', { success: true, onlinePeers: [] })
  }
  const alice = await join(t, { url: server.url, signer: await createIdentity({ algorithm: 'ml-dsa' }) })
  assert.deepEqual([alice.publicKey.length, heard?.payload.proof.length], [3_904, 6_618])
})

test('close() fails pending and later requests and leaves no timer', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const joined = next(alice.events, 'peerJoined')
  await join(t, { url: server.url })
  await joined
  server.intercept = () => true
  const closed = { errorType: 'CLOSED' }
  const waiting = [alice.discover(), alice.send('x', body()), alice.history('x')].map((each) =>
    assert.rejects(each, closed)
  )
  await delay(10)
  await alice.close()
  await Promise.all(waiting)
  await assert.rejects(alice.send('x', body()), closed)
  assert.deepEqual([alice.state, alice.peers.size], ['closed', 0])
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout'),
    []
  )
})
