// Sending while offline: what waits, in which order it is sent, and that nothing is sent twice.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { type ClientStorage, memoryStorage, openOutbox } from '../../client/src/outbox.ts'
import { createSignalingClient } from '../../client/src/signaling.ts'
import type { SignalingOptions } from '../../client/src/signaling-api.ts'
import { until } from '../helpers/wait.ts'
import { refuse as refuseInL2ps, startFakeL2psServer } from './fake-l2ps-server.ts'
import { type FakeServer, refuse, startFakeServer } from './fake-server.ts'
import { body, clientFor, join } from './l2ps-clients.ts'
import { collect, next } from './waits.ts'

const quick = { firstDelayMs: 5, maximumDelayMs: 20, jitter: 0 }
const delays = { firstDelayMs: 1, maximumDelayMs: 5 }

async function signalingClient(
  t: TestContext,
  { url }: FakeServer,
  clientId: string,
  options: Partial<SignalingOptions> = {}
) {
  const identity = options.identity ?? (await createIdentity({ algorithm: 'ed25519' }))
  const client = createSignalingClient({ url, clientId, reconnect: quick, ...options, identity })
  t.after(() => client.close())
  return client
}

const tick = () => new Promise((resolve) => setImmediate(resolve))

test('L2PS: what is sent while offline waits in the storage, and goes out in order with the connection', async (t) => {
  const server = await startFakeL2psServer(t)
  const storage = memoryStorage()
  const alice = await clientFor(t, { url: server.url })
  const outbox = await openOutbox(alice, { storage, ...delays })
  t.after(() => outbox.close())
  const bodies = Array.from({ length: 20 }, (_, i) => body(`text ${i}`))
  const ids = await Promise.all(bodies.map((each, i) => outbox.send(i % 2 ? 'bob' : 'carol', each)))
  assert.deepEqual([...ids].sort(), ids)
  assert.equal((await storage.entries('outbox ')).length, 20)
  const sent = collect(outbox.events, 'sent', 20)
  await alice.connect()
  await outbox.empty()
  assert.deepEqual(new Set((await sent).map(({ id }) => id)), new Set(ids))
  assert.deepEqual(await storage.entries(''), [])
  for (const peer of ['bob', 'carol']) {
    const said = server.messages.filter(({ to }) => to === peer).map(({ encrypted }) => encrypted.ciphertext)
    const expected = bodies.filter((_, i) => (i % 2 ? 'bob' : 'carol') === peer).map(({ ciphertext }) => ciphertext)
    assert.deepEqual(said, expected)
  }
})

test('L2PS: a message whose answer was lost is sent again under its hash, also by the next process', async (t) => {
  const server = await startFakeL2psServer(t)
  const storage = memoryStorage()
  const alice = await join(t, { url: server.url })
  const first = await openOutbox(alice, { storage, ...delays })
  let lost = 0
  server.intercept = ({ type }, socket) => {
    if (type !== 'send') return false
    lost += 1
    socket.terminate()
    return true
  }
  await first.send('bob', body('once'))
  await until('the connection is lost with the message under way', () => lost > 0)
  first.close()
  await alice.close()
  server.intercept = undefined
  const again = await join(t, { url: server.url })
  // Another key: an outbox belongs to its owner, and this one has nothing.
  assert.deepEqual((await openOutbox(again, { storage })).entries, [])

  await alice.connect()
  const second = await openOutbox(alice, { storage, ...delays })
  t.after(() => second.close())
  await second.empty()
  assert.equal(server.messages.length, 1)
  const hashes = server.received.filter(({ type }) => type === 'send').map(({ payload }) => payload.messageHash)
  assert.equal(new Set(hashes).size, 1)
  assert.ok(hashes.length > 1)
})

test('a refusal that may pass is tried again and holds up one peer alone; a final one is reported', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const outbox = await openOutbox(alice, { storage: memoryStorage(), ...delays })
  t.after(() => outbox.close())
  let isFull = true
  server.intercept = (frame, socket) => {
    if (frame.type !== 'send') return false
    if (frame.payload.to === 'nobody') return refuseInL2ps(socket, frame, 'INVALID_MESSAGE', 'no such key')
    return isFull && frame.payload.to === 'bob' && refuseInL2ps(socket, frame, 'RATE_LIMITED', 'full')
  }
  const [delayed, failed] = [collect(outbox.events, 'delayed', 3), next(outbox.events, 'failed')]
  await outbox.send('bob', body('1'))
  await outbox.send('bob', body('2'))
  const bad = await outbox.send('nobody', body('3'))
  const carols = await outbox.send('carol', body('4'))
  assert.equal((await failed).id, bad)
  assert.match(String((await failed).error), /no such key/)
  assert.deepEqual(
    (await delayed).map(({ to }) => to),
    ['bob', 'bob', 'bob']
  )
  await until('carol has hers', () => !outbox.entries.some(({ id }) => id === carols))
  isFull = false
  await outbox.empty()
  const toBob = server.messages.filter(({ to }) => to === 'bob')
  assert.deepEqual(
    toBob.map(({ encrypted }) => atob(encrypted.ciphertext)),
    ['1', '2']
  )
})

test('an outbox is bounded, and what the storage does not take is not sent', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await clientFor(t, { url: server.url })
  const memory = memoryStorage()
  const small = await openOutbox(alice, { storage: memory, maxMessages: 2 })
  t.after(() => small.close())
  await small.send('bob', body())
  const id = await small.send('bob', body())
  await assert.rejects(small.send('bob', body()), { errorType: 'OUTBOX_FULL' })
  assert.equal(await small.discard(id), true)
  assert.equal(await small.discard(id), false)
  await small.send('bob', body())
  small.close()
  await assert.rejects(small.send('bob', body()), { errorType: 'CLOSED' })

  const narrow = await openOutbox(alice, { storage: memoryStorage(), maxCharacters: 1_000 })
  t.after(() => narrow.close())
  await assert.rejects(narrow.send('bob', body('x'.repeat(1_000))), { errorType: 'OUTBOX_FULL' })

  const full: ClientStorage = { ...memoryStorage(), set: () => Promise.reject(new Error('the disk is full')) }
  const outbox = await openOutbox(await join(t, { url: server.url }), { storage: full })
  t.after(() => outbox.close())
  await assert.rejects(outbox.send('bob', body()), /disk is full/)
  await outbox.empty()
  await tick()
  assert.ok(!server.received.some(({ type }) => type === 'send'))
})

test('signaling: a message that was sent but not confirmed is sent again in the same bytes and handled once', async (t) => {
  const server = await startFakeServer(t)
  const handled: (string | undefined)[] = []
  const bob = await signalingClient(t, server, 'bob', { onMessage: ({ text }) => void handled.push(text) })
  await bob.connect()
  const alice = await signalingClient(t, server, 'alice')
  const outbox = await openOutbox(alice, { storage: memoryStorage(), ...delays })
  t.after(() => outbox.close())
  let cuts = 2
  server.intercept = ({ type, payload }, socket) => {
    const isConfirmation = type === 'request_public_key' && payload.targetId === 'alice'
    if (!isConfirmation || cuts-- <= 0) return false
    socket.terminate()
    return true
  }
  await outbox.send('bob', 'hello')
  await outbox.send('bob', 'goodbye')
  await alice.connect()
  await outbox.empty()
  await until('both are handled', () => handled.length >= 2)
  assert.deepEqual(handled, ['hello', 'goodbye'])
  const bodies = server.received.filter(({ type }) => type === 'message').map(({ payload }) => JSON.stringify(payload))
  assert.equal(bodies.length, 4)
  assert.equal(new Set(bodies).size, 2)
})

test('signaling: a confirmed message is sent or queued, and a refusal hits the message it is about', async (t) => {
  const server = await startFakeServer(t)
  const alice = await signalingClient(t, server, 'alice')
  const bob = await signalingClient(t, server, 'bob')
  await Promise.all([alice.connect(), bob.connect()])
  assert.equal((await alice.sendConfirmed('bob', 'hello')).status, 'sent')
  server.intercept = ({ type, payload }, socket) =>
    type === 'message' && payload.message.refuse === true && refuse(socket, 'INVALID_MESSAGE', 'refused')
  const outcomes = await Promise.allSettled([
    alice.sendConfirmed('bob', 'one'),
    alice.sendSealedConfirmed('bob', { refuse: true }),
    alice.sendConfirmed('bob', 'three'),
    alice.sendSealedConfirmed('carol', { kept: true })
  ])
  const shown = outcomes.map((each) => (each.status === 'fulfilled' ? each.value.status : each.reason.errorType))
  assert.deepEqual(shown, ['sent', 'INVALID_MESSAGE', 'sent', 'queued'])
})

test('signaling: a message is sealed anew when its recipient came back with another key', async (t) => {
  const server = await startFakeServer(t)
  const bob = await signalingClient(t, server, 'bob')
  await bob.connect()
  await bob.close()
  const alice = await signalingClient(t, server, 'alice')
  const changed = next(alice.events, 'keyChanged')
  await alice.connect()
  const outbox = await openOutbox(alice, { storage: memoryStorage(), ...delays })
  t.after(() => outbox.close())
  let isRefused = true
  server.intercept = ({ type }, socket) => type === 'message' && isRefused && refuse(socket, 'INTERNAL_ERROR', 'later')
  const delayed = next(outbox.events, 'delayed')
  await outbox.send('bob', 'for whoever is bob')
  await delayed
  const other = await signalingClient(t, server, 'bob')
  await other.connect()
  const heard = next(other.events, 'message')
  await alice.close() // the client forgets the key it has cached
  await alice.connect()
  isRefused = false
  assert.equal((await heard).text, 'for whoever is bob')
  const { peerId, publicKey, previousKey } = await changed
  assert.equal(peerId, 'bob')
  assert.deepEqual([publicKey, previousKey], [Uint8Array.from(other.identity.publicKey), bob.identity.publicKey])
})
