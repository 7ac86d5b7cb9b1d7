import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { deferred } from '../../client/src/async.ts'
import { quickSigner } from '../helpers/peer.ts'
import { answer, atOnce, refuse, startFakeL2psServer } from './fake-l2ps-server.ts'
import { body, clientFor, join, quick } from './l2ps-clients.ts'
import { collect, next } from './waits.ts'

test('before connect() a request is refused with NOT_CONNECTED', async (t) => {
  const { url } = await startFakeL2psServer(t)
  const alice = await clientFor(t, { url })
  await assert.rejects(alice.discover(), { errorType: 'NOT_CONNECTED', details: /connect/ })
  await assert.rejects(alice.send('bob', body()), { errorType: 'NOT_CONNECTED' })
})

test("a refused registration rejects with the server's error and leaves no timer or socket", async (t) => {
  const server = await startFakeL2psServer(t)
  server.intercept = (frame, socket) => refuse(socket, frame, 'L2PS_NOT_FOUND', 'L2PS network net not found')
  const alice = await clientFor(t, { url: server.url })
  const expected = { name: 'RelayError', errorType: 'L2PS_NOT_FOUND', details: 'L2PS network net not found' }
  await assert.rejects(alice.connect(), expected)
  assert.equal(alice.state, 'closed')
  await assert.rejects(alice.discover(), expected)
  server.intercept = undefined
  await alice.connect()
  assert.deepEqual(await alice.discover(), [alice.publicKey])
})

test('after a lost connection it registers again with a new proof and knows the connected peers', async (t) => {
  const server = await startFakeL2psServer(t)
  const [alice, bob] = [await join(t, { url: server.url }), await join(t, { url: server.url })]
  const lost = next(alice.events, 'disconnected')
  const back = Promise.all([next(alice.events, 'connected'), next(bob.events, 'connected')])
  server.cut()
  assert.deepEqual(await lost, { code: 1006, reason: '', willReconnect: true })
  assert.equal(alice.peers.size, 0)
  assert.ok((await back).every(({ again }) => again))
  assert.deepEqual((await alice.discover()).sort(), [alice.publicKey, bob.publicKey].sort())
  assert.deepEqual([[...alice.peers], [...bob.peers]], [[bob.publicKey], [alice.publicKey]])
  assert.equal(server.usedProofs.size, 4)
})

test('a send whose answer was lost is sent again with the same hash, and delivered once', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const bob = await join(t, { url: server.url })
  const heard: string[] = []
  bob.events.on('message', ({ messageHash }) => heard.push(messageHash))
  server.intercept = ({ type }, socket) => {
    if (type !== 'send') return false
    server.intercept = undefined
    socket.send = () => {} // the server acts, but its answer is lost
    setTimeout(() => socket.terminate(), 10)
    return false
  }
  const sent = await alice.send(bob.publicKey, body())
  assert.equal(sent.status, 'sent')
  await alice.discover()
  const sends = server.received.filter(({ type }) => type === 'send')
  assert.equal(sends.length, 2)
  assert.deepEqual(sends[0]!.payload, sends[1]!.payload)
  await bob.discover()
  assert.deepEqual(heard, [sent.messageHash])
})

test('pending requests are sent again before requests made since, in the order of the calls', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const reached = deferred<void>()
  server.intercept = ({ type }) => {
    if (type === 'history') reached.resolve() // signed, so it is the last to leave
    return true
  }
  const results = ['1', '2', '3'].map((hash) => alice.send('bob', body(hash), { messageHash: hash }))
  const asked = [alice.requestPublicKey('bob'), alice.history('bob')]
  await reached.promise
  alice.events.once('disconnected', () => {
    for (const hash of ['4', '5']) results.push(alice.send('bob', body(hash), { messageHash: hash }))
  })
  server.intercept = undefined
  server.cut()
  await Promise.all(asked)
  assert.deepEqual(
    (await Promise.all(results)).map(({ messageHash }) => messageHash),
    ['1', '2', '3', '4', '5']
  )
  assert.deepEqual(
    server.messages.map(({ messageHash }) => messageHash),
    ['1', '2', '3', '4', '5']
  )
  const proofs = server.received.filter(({ type }) => type === 'history').map(({ payload }) => payload.proof)
  assert.equal(new Set(proofs).size, 2)
})

test('a registration refused after a reconnection is repeated with longer delays', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  let refusals = 3
  server.intercept = (frame, socket) =>
    frame.type === 'register' && refusals-- > 0 && refuse(socket, frame, 'L2PS_NOT_FOUND', 'not now')
  const delays: number[] = []
  alice.events.on('reconnecting', ({ delayMs }) => delays.push(delayMs))
  const errors = collect(alice.events, 'error', 3)
  const again = next(alice.events, 'connected')
  server.cut()
  await again
  assert.deepEqual(delays, [5, 10, 20, 20])
  assert.match((await errors)[0]!.error.message, /L2PS_NOT_FOUND: not now/)
  const registrations = server.received.filter(({ type }) => type === 'register')
  assert.equal(new Set(registrations.map(({ payload }) => payload.proof)).size, 5)
})

test('a final refusal of the registration closes the client', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  server.intercept = (frame, socket) => refuse(socket, frame, 'INVALID_MESSAGE', 'no such key')
  const refused = next(alice.events, 'error')
  server.cut()
  await refused
  await assert.rejects(alice.discover(), { errorType: 'INVALID_MESSAGE' })
  assert.equal(alice.state, 'closed')
})

test('a request waits for a connection until its timeout', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url, requestTimeoutMs: 300 })
  const lost = next(alice.events, 'disconnected')
  server.intercept = () => true
  const underWay = alice.send('bob', body())
  await server.stop()
  await lost
  const late = { errorType: 'NOT_CONNECTED', details: /within 300 ms/ }
  await Promise.all([assert.rejects(underWay, late), assert.rejects(alice.discover(), late)])
})

test('without reconnection a lost connection fails all requests, until connect() is called again', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url, reconnect: false })
  server.intercept = ({ type }) => type === 'discover'
  const underWay = assert.rejects(alice.discover(), { errorType: 'NOT_CONNECTED', details: /lost/ })
  await delay(10)
  server.cut()
  await underWay
  await assert.rejects(alice.discover(), { errorType: 'NOT_CONNECTED' })
  server.intercept = undefined
  await alice.connect()
  assert.deepEqual(await alice.discover(), [alice.publicKey])
})

/** A signer that waits, while `isSlow`, for `finish`; `asked` resolves when it is asked next. */
async function patientSigner() {
  const signer = await quickSigner()
  const state = { isSlow: false, finish: () => {}, asked: deferred<void>() }
  const sign = async (message: Uint8Array) => {
    state.asked.resolve()
    if (state.isSlow) await new Promise<void>((resolve) => (state.finish = resolve))
    return signer.sign(message)
  }
  const nextAsked = () => {
    state.asked = deferred()
    return state.asked.promise
  }
  return { state, signer: { ...signer, sign }, nextAsked }
}

test('a signature made for a lost connection is not used on the next one', async (t) => {
  const server = await startFakeL2psServer(t)
  const { state, signer, nextAsked } = await patientSigner()
  const alice = await join(t, { url: server.url, signer })
  state.isSlow = true
  const asked = nextAsked()
  server.cut()
  await asked // it is signing for the second connection
  const stale = state.finish
  state.isSlow = false
  const again = next(alice.events, 'connected')
  server.cut()
  await again
  stale()
  assert.deepEqual(await alice.discover(), [alice.publicKey])
  assert.equal(server.received.filter(({ type }) => type === 'register').length, 2)
})

test('a request is not sent when its signature comes after its timeout', async (t) => {
  const server = await startFakeL2psServer(t)
  const { state, signer } = await patientSigner()
  const alice = await join(t, { url: server.url, signer, requestTimeoutMs: 1_000 })
  state.isSlow = true
  await assert.rejects(alice.history('bob'), { errorType: 'TIMEOUT' })
  state.finish()
  await delay(20)
  await alice.discover()
  assert.ok(!server.received.some(({ type }) => type === 'history'))
})

test('close() does not wait for a signature', async (t) => {
  const server = await startFakeL2psServer(t)
  const { state, signer, nextAsked } = await patientSigner()
  state.isSlow = true
  const alice = await clientFor(t, { url: server.url, signer })
  const asked = nextAsked()
  const connecting = assert.rejects(alice.connect(), { errorType: 'CLOSED' })
  await asked
  await alice.close()
  await connecting
  state.finish()
})

test('a registration whose connection is lost is repeated once on the next connection', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  let losses = 1
  server.intercept = ({ type }, socket) => {
    if (type !== 'register' || losses-- <= 0) return false
    socket.terminate()
    return true
  }
  const told: unknown[] = []
  for (const type of ['error', 'disconnected'] as const) alice.events.on(type, (event) => told.push(event))
  const again = next(alice.events, 'connected')
  server.cut()
  await again
  await alice.history('bob') // a registration said twice would have been signed before this, and have arrived
  assert.deepEqual(told, [{ code: 1006, reason: '', willReconnect: true }])
  assert.equal(server.received.filter(({ type }) => type === 'register').length, 3)
})

test('a client closed by a frame that came with `registered` emits no `connected`', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await clientFor(t, { url: server.url })
  server.intercept = (frame, socket) => {
    return atOnce(socket, () => {
      answer(socket, frame, 'registered', { success: true, onlinePeers: [] })
      const message = { from: 'a', encrypted: body(), messageHash: 'h', offline: true }
      socket.send(JSON.stringify({ type: 'message', payload: message }))
    })
  }
  const connected: unknown[] = []
  alice.events.on('connected', (event) => connected.push(event))
  alice.events.on('message', () => alice.close())
  await assert.rejects(alice.connect(), { errorType: 'CLOSED' })
  assert.deepEqual([alice.state, connected], ['closed', []])
})

test('requests wait until the connection is registered', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await clientFor(t, { url: server.url })
  const asked: Promise<unknown>[] = []
  server.intercept = ({ type }) => {
    if (type === 'register') asked.push(alice.discover(), alice.send('bob', body(), { messageHash: 'h' }))
    return false
  }
  await alice.connect()
  assert.deepEqual(await Promise.all(asked), [[alice.publicKey], { status: 'queued', messageHash: 'h' }])
})

test('a signer that rejects fails connect(), and is asked again after a reconnection', async (t) => {
  const server = await startFakeL2psServer(t)
  const willing = await quickSigner()
  let refusals = 1
  const sign = async (message: Uint8Array) => {
    if (refusals-- > 0) throw new Error('the user said no')
    return willing.sign(message)
  }
  const alice = await clientFor(t, { url: server.url, signer: { ...willing, sign }, reconnect: quick })
  await assert.rejects(alice.connect(), /the user said no/)
  await alice.connect()
  refusals = 2
  const errors = collect(alice.events, 'error', 2)
  const again = next(alice.events, 'connected')
  server.cut()
  await Promise.all([errors, again])
})
