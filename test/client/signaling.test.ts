import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { digestOf } from '../../client/src/digest.ts'
import { createIdentity, type Identity } from '../../client/src/identity.ts'
import { open, seal } from '../../client/src/sealed.ts'
import { createSignalingClient } from '../../client/src/signaling.ts'
import type { SignalingOptions } from '../../client/src/signaling-api.ts'
import { until } from '../helpers/wait.ts'
import { type FakeServer, refuse, reply, startFakeServer } from './fake-server.ts'
import { collect, next } from './waits.ts'

const quick = { firstDelayMs: 5, maximumDelayMs: 20, jitter: 0 }
const identities = new Map<string, Promise<Identity>>()
const identityOf = (name: string) => {
  if (!identities.has(name)) identities.set(name, createIdentity({ algorithm: 'ed25519' }))
  return identities.get(name)!
}

async function clientFor(
  t: TestContext,
  server: FakeServer,
  clientId: string,
  options: Partial<SignalingOptions> = {}
) {
  const identity = await identityOf(clientId)
  const client = createSignalingClient({ url: server.url, clientId, identity, reconnect: quick, ...options })
  t.after(() => client.close())
  return client
}

async function join(t: TestContext, server: FakeServer, clientId: string, options: Partial<SignalingOptions> = {}) {
  const client = await clientFor(t, server, clientId, options)
  await client.connect()
  return client
}

test('two peers register, find each other and exchange sealed messages', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const bob = await join(t, server, 'bob', { identity: await createIdentity({ algorithm: 'ml-dsa' }) })
  assert.deepEqual(await alice.discover(), ['alice', 'bob'])
  assert.deepEqual(await alice.requestPublicKey('bob'), Uint8Array.from(bob.identity.publicKey))

  const heard = next(bob.events, 'message')
  assert.equal(await alice.send('bob', 'hello, bob'), 'm1')
  const message = await heard
  assert.deepEqual([message.from, message.text, message.queuedAt], ['alice', 'hello, bob', undefined])
  assert.ok(!JSON.stringify(server.received).includes('hello'))

  const answered = next(alice.events, 'message')
  await bob.send('alice', 'hello, alice')
  assert.equal((await answered).text, 'hello, alice')
})

test("a refused registration rejects with the server's error and leaves no timer or socket", async (t) => {
  const server = await startFakeServer(t)
  server.intercept = ({ type }, socket) => type === 'register' && refuse(socket, 'CLIENT_ID_TAKEN', 'taken')
  const alice = await clientFor(t, server, 'alice')
  const expected = { name: 'RelayError', errorType: 'CLIENT_ID_TAKEN', details: 'taken' }
  await assert.rejects(alice.connect(), expected)
  assert.equal(alice.state, 'closed')
  await assert.rejects(alice.discover(), expected)
  server.intercept = undefined
  await alice.connect()
  assert.deepEqual(await alice.discover(), ['alice'])
})

test('before connect() a request is refused with NOT_CONNECTED', async (t) => {
  const alice = await clientFor(t, await startFakeServer(t), 'alice')
  await assert.rejects(alice.discover(), { errorType: 'NOT_CONNECTED', details: /connect/ })
  await assert.rejects(alice.send('bob', 'x'), { errorType: 'NOT_CONNECTED' })
})

test('keys of many peers can be requested at the same time, known and unknown', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  for (let i = 0; i < 50; i += 2) server.keys.set(`peer${i}`, [i, i, i])
  const asked = Array.from({ length: 50 }, (_, i) => alice.requestPublicKey(`peer${i}`))
  for (const [i, result] of (await Promise.allSettled(asked)).entries()) {
    if (result.status === 'fulfilled') assert.deepEqual(result.value, Uint8Array.of(i, i, i))
    else assert.match(String(result.reason), new RegExp(`PEER_NOT_FOUND: Target peer peer${i} not found`))
    assert.equal(result.status === 'fulfilled', i % 2 === 0)
  }
})

test('a key is requested once, and again after its peer has left', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const bob = await join(t, server, 'bob')
  const asked = () => server.received.filter(({ type }) => type === 'request_public_key').length
  await Promise.all([alice.send('bob', '1'), alice.send('bob', '2'), alice.requestPublicKey('bob')])
  assert.equal(asked(), 1)
  const left = next(alice.events, 'peerDisconnected')
  await bob.close()
  assert.deepEqual(await left, { peerId: 'bob' })
  const queued = next(alice.events, 'queued')
  const messageId = await alice.send('bob', '3')
  assert.equal(asked(), 2)
  const details = 'Message stored for offline delivery'
  assert.deepEqual(await queued, { targetId: 'bob', messageId, details })
  await alice.requestPublicKey('bob')
  assert.equal(asked(), 3)
})

test('a key that another owner of the client id announces comes with the time of the change', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const answers = [
    { peerId: 'bob', publicKey: [1] },
    { peerId: 'bob', publicKey: [2], ownerChangedAt: 1_790_000_000_000 }
  ]
  server.intercept = ({ type }, socket) => {
    if (type === 'message') return refuse(socket, 'INTERNAL_ERROR', 'no') // which makes the client forget the key
    return type === 'request_public_key' && reply(socket, 'public_key_response', answers.shift() ?? {})
  }
  assert.deepEqual(await alice.requestPeerKey('bob'), { publicKey: Uint8Array.of(1) })
  const refused = next(alice.events, 'error')
  await alice.sendSealed('bob', 'x')
  await refused
  const changed = next(alice.events, 'keyChanged')
  const key = { publicKey: Uint8Array.of(2), ownerChangedAt: 1_790_000_000_000 }
  assert.deepEqual(await alice.requestPeerKey('bob'), key)
  assert.deepEqual(await changed, { peerId: 'bob', ...key, previousKey: Uint8Array.of(1) })
  assert.deepEqual(await alice.requestPublicKey('bob'), key.publicKey)
})

test('messages to one peer arrive in the order of the calls, whatever their size', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const bob = await join(t, server, 'bob')
  const texts = Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat(i % 2 ? 0 : 60_000)}`)
  const heard = collect(bob.events, 'message', texts.length)
  await Promise.all(texts.map((text) => alice.send('bob', text)))
  assert.deepEqual(
    (await heard).map(({ text }) => text),
    texts
  )
})

test('a body that cannot be opened is emitted with its error, in order', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const bob = await join(t, server, 'bob')
  const strange = await seal('for somebody else', (await identityOf('carol')).publicKey)
  const bodies = ['text', 7, { a: 1 }, { ...strange, serializedCipherText: '*' }, strange]
  const heard = collect(bob.events, 'message', bodies.length + 2)
  await alice.send('bob', 'first')
  for (const body of bodies) await alice.sendSealed('bob', body)
  await alice.send('bob', 'last')
  const messages = await heard
  assert.deepEqual(
    messages.map(({ text }) => text),
    ['first', ...bodies.map(() => undefined), 'last']
  )
  assert.deepEqual(
    messages.slice(1, -1).map(({ sealed }) => sealed),
    bodies
  )
  for (const { error } of messages.slice(1, -1)) assert.ok(error instanceof Error)
})

test('queued messages come with the time they were queued', async (t) => {
  const server = await startFakeServer(t)
  const sealed = await seal('while you were away', (await identityOf('bob')).publicKey)
  server.intercept = ({ type, payload }, socket) => {
    if (type !== 'register') return false
    reply(socket, 'register', { success: true, clientId: payload.clientId })
    return reply(socket, 'message', { message: sealed, fromId: 'alice', timestamp: 1_750_000_000_000 })
  }
  const bob = await clientFor(t, server, 'bob')
  const heard = next(bob.events, 'message')
  await bob.connect()
  const digest = await digestOf(JSON.stringify(sealed))
  assert.deepEqual(await heard, {
    ...{ from: 'alice', text: 'while you were away', sealed, digest, queuedAt: 1_750_000_000_000 }
  })
})

test('a refused message is an error event with its id, and fails no request', async (t) => {
  const server = await startFakeServer(t)
  server.intercept = ({ type, payload }, socket) =>
    type === 'message' && payload.message === 'bad' && refuse(socket, 'INVALID_MESSAGE', 'bad body')
  const alice = await join(t, server, 'alice')
  const heard = next(alice.events, 'error')
  const [messageId, peers] = await Promise.all([alice.sendSealed('bob', 'bad'), alice.discover()])
  assert.deepEqual(peers, ['alice'])
  const { error, messageId: refused } = await heard
  assert.equal(refused, messageId)
  assert.match(error.message, /bad body/)
})

test('a refused request after a message is told apart from a refused message', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  await join(t, server, 'bob')
  const errors: Error[] = []
  alice.events.on('error', ({ error }) => errors.push(error))
  await alice.sendSealed('bob', 'fine')
  await assert.rejects(alice.requestPublicKey('nobody'), { errorType: 'PEER_NOT_FOUND' })
  assert.deepEqual(errors, [])
})

test('a missing answer is a TIMEOUT, and when it comes late no other request takes it', async (t) => {
  const server = await startFakeServer(t)
  let late = () => {}
  server.intercept = ({ type }, socket) => {
    if (type !== 'discover') return false
    late = () => reply(socket, 'discover', { peers: ['late'] })
    return true
  }
  const alice = await join(t, server, 'alice', { requestTimeoutMs: 300 })
  await assert.rejects(alice.discover(), { errorType: 'TIMEOUT' })
  server.intercept = undefined
  late()
  assert.deepEqual(await alice.discover(), ['alice'])
})

test('a frame of any shape leaves the client connected', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const errors = collect(alice.events, 'error', 7)
  const raw = [
    'null',
    '7',
    '[]',
    '{"type":"discover"}',
    '{"type":1,"payload":{}}',
    '{',
    '{"type":"error","payload":{}}'
  ]
  raw.push('{"type":"unheard_of","payload":{}}', '{"type":"peer_disconnected","payload":{}}')
  for (const text of raw) server.peers.get('alice')!.send(text)
  await errors
  assert.deepEqual(await alice.discover(), ['alice'])
  server.intercept = ({ type }, socket) =>
    type === 'request_public_key' && reply(socket, 'public_key_response', { peerId: 'x' })
  await assert.rejects(alice.requestPublicKey('x'), { errorType: 'INVALID_ANSWER' })
})

test('questions of the server are emitted and can be answered', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const told = next(alice.events, 'serverQuestion')
  const question = await alice.debugQuestion()
  assert.deepEqual(question, { questionId: 'q1', question: { text: 'How are you?' } })
  assert.deepEqual(await told, question)
  await alice.respond(question.questionId, { mood: 'fine' })
  await alice.discover()
  const response = server.received.find(({ type }) => type === 'peer_response')
  assert.deepEqual(response?.payload, { questionId: 'q1', response: { mood: 'fine' } })
})

test('after a lost connection it registers again, and requests made meanwhile are answered', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const again = next(alice.events, 'connected')
  const lost = next(alice.events, 'disconnected')
  server.intercept = ({ type }) => type === 'debug_question'
  const underWay = assert.rejects(alice.debugQuestion(), { errorType: 'NOT_CONNECTED', details: /lost/ })
  await delay(10)
  server.cut()
  await underWay
  assert.deepEqual(await lost, { code: 1006, reason: '', willReconnect: true })
  assert.deepEqual(await alice.discover(), ['alice'])
  assert.deepEqual(await again, { again: true })
  assert.equal(server.received.filter(({ type }) => type === 'register').length, 2)
})

test('a registration refused after a reconnection is repeated with longer delays until it succeeds', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  let refusals = 3
  server.intercept = ({ type }, socket) =>
    type === 'register' && refusals-- > 0 && refuse(socket, 'CLIENT_ID_TAKEN', 'taken')
  const delays: number[] = []
  alice.events.on('reconnecting', ({ delayMs }) => delays.push(delayMs))
  const errors = collect(alice.events, 'error', 3)
  const again = next(alice.events, 'connected')
  server.cut()
  await again
  assert.deepEqual(delays, [5, 10, 20, 20])
  assert.match((await errors)[0]!.error.message, /CLIENT_ID_TAKEN/)
})

test('a final refusal of the registration closes the client', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  server.intercept = ({ type }, socket) => type === 'register' && refuse(socket, 'INVALID_PROOF', 'Invalid proof')
  const refused = next(alice.events, 'error')
  server.cut()
  await refused
  await assert.rejects(alice.discover(), { errorType: 'INVALID_PROOF' })
  assert.equal(alice.state, 'closed')
})

test('a request waits for a connection until its timeout', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice', { requestTimeoutMs: 50 })
  const lost = next(alice.events, 'disconnected')
  await server.stop()
  await lost
  await assert.rejects(alice.discover(), { errorType: 'NOT_CONNECTED', details: /within 50 ms/ })
})

test('close() fails pending requests, emits received messages, and leaves no timer', async (t) => {
  const server = await startFakeServer(t)
  const alice = await join(t, server, 'alice')
  const bob = await join(t, server, 'bob')
  const heard: string[] = []
  bob.events.on('message', ({ text = '' }) => heard.push(text))
  const arrived = next(bob.events, 'frame')
  const decrypt = crypto.subtle.decrypt.bind(crypto.subtle)
  const slowly: typeof decrypt = (...args) => delay(60).then(() => decrypt(...args))
  t.mock.method(crypto.subtle, 'decrypt', slowly)
  await alice.send('bob', 'x'.repeat(50_000))
  await arrived
  server.intercept = () => true
  const waiting = assert.rejects(bob.discover(), { errorType: 'CLOSED' })
  await delay(0)
  await Promise.all([bob.close(), alice.close()])
  await waiting
  assert.equal(heard.length, 1)
  await assert.rejects(bob.send('alice', 'x'), { errorType: 'CLOSED' })
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout'),
    []
  )
})

test('what waited while a connection was lost is sealed to the key that the peer has after it', async (t) => {
  const server = await startFakeServer(t)
  const bob = await join(t, server, 'bob')
  await bob.close()
  const later = await createIdentity({ algorithm: 'ed25519' })
  const alice = await join(t, server, 'alice')
  await alice.requestPublicKey('bob')
  let isDeaf = true
  server.intercept = ({ type }) => isDeaf && type !== 'register'
  const first = alice.sendConfirmed('bob', 'first').catch(({ errorType }) => errorType)
  const sealed: unknown[] = []
  const second = alice.sendSealedConfirmed('bob', async () => {
    const body = await seal(
      'second',
      sealed.length === 0 ? bob.identity.publicKey : await alice.requestPublicKey('bob')
    )
    sealed.push(body)
    return body
  })
  await until('the second is sealed, and waits behind the first', () => sealed.length === 1)
  server.keys.set('bob', [...later.publicKey])
  isDeaf = false
  server.cut()
  assert.equal(await first, 'NOT_CONNECTED')
  await second
  const { payload } = server.received.findLast(({ type }) => type === 'message')!
  assert.equal(await open(payload.message, later.secretKey), 'second')
  assert.equal(sealed.length, 2)
})
