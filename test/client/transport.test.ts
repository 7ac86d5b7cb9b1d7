import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import {
  createTransport,
  DEFAULT_RECONNECT,
  reconnectDelay,
  type Transport,
  type TransportOptions
} from '../../client/src/transport.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { startFakeServer } from './fake-server.ts'
import { next } from './waits.ts'

const quick = { firstDelayMs: 5, maximumDelayMs: 20, jitter: 0 }

function transportFor(t: TestContext, options: TransportOptions) {
  const transport = createTransport(options)
  t.after(() => transport.close())
  return transport
}

/** Accepts connections, and answers nothing. */
async function muteServer(t: TestContext): Promise<string> {
  const mute = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  t.after(() => mute.close())
  await new Promise((resolve) => mute.once('listening', resolve))
  return `ws://127.0.0.1:${(mute.address() as { port: number }).port}`
}

test('delays double up to the maximum, and jitter only shortens them', () => {
  const fixed = { ...DEFAULT_RECONNECT, jitter: 0 }
  assert.deepEqual(
    [1, 2, 3, 5, 6, 60, 2_000].map((n) => reconnectDelay(n, fixed)),
    [1_000, 2_000, 4_000, 16_000, 30_000, 30_000, 30_000]
  )
  assert.equal(reconnectDelay(1, DEFAULT_RECONNECT, 0), 1_000)
  assert.equal(reconnectDelay(1, DEFAULT_RECONNECT, 1), 500)
})

test('frames go both ways', async (t) => {
  const server = await startFakeServer(t)
  const transport = transportFor(t, { url: server.url })
  assert.equal(transport.state, 'closed')
  const connecting = transport.connect()
  assert.equal(transport.state, 'connecting')
  await connecting
  assert.equal(transport.state, 'open')
  transport.send({ type: 'discover', payload: {} })
  assert.deepEqual(await next(transport.events, 'frame'), { type: 'discover', payload: { peers: [] } })
})

test('a frame that is not JSON text is an error event, and the connection goes on', async (t) => {
  const server = await startFakeServer(t)
  server.intercept = ({ payload }, socket) => {
    socket.send(payload.binary ? Buffer.from('{}') : '{"type":')
    socket.send('{"after":true}')
    return true
  }
  const transport = transportFor(t, { url: server.url })
  await transport.connect()
  for (const binary of [false, true]) {
    const heard = Promise.all([next(transport.events, 'error'), next(transport.events, 'frame')])
    transport.send({ type: 'x', payload: { binary } })
    const [error, frame] = await heard
    assert.match(error.message, /not JSON text/)
    assert.deepEqual(frame, { after: true })
  }
})

test('a failed first attempt rejects and is not repeated', async (t) => {
  const server = await startFakeServer(t)
  await server.stop()
  const transport = transportFor(t, { url: server.url, reconnect: quick })
  const heard: string[] = []
  transport.events.on('reconnecting', () => heard.push('reconnecting'))
  transport.events.on('close', () => heard.push('close'))
  await assert.rejects(transport.connect(), { errorType: 'NOT_CONNECTED', message: /ECONNREFUSED/ })
  assert.equal(transport.state, 'closed')
  await delay(30)
  assert.deepEqual(heard, [])
  await assert.rejects(transportFor(t, { url: 'nonsense' }).connect(), SyntaxError)
  assert.throws(() => transport.send({}), { errorType: 'NOT_CONNECTED' })
})

test('a server that accepts and says nothing is given up after the open timeout', async (t) => {
  const transport = transportFor(t, { url: await muteServer(t), openTimeoutMs: 40 })
  await assert.rejects(transport.connect(), /no answer within 40 ms/)
})

test('a lost connection comes back, with longer delays until one was stable', async (t) => {
  const server = await startFakeServer(t)
  const transport = transportFor(t, { url: server.url, reconnect: { ...quick, stableAfterMs: 50 } })
  const attempts: number[] = []
  transport.events.on('reconnecting', ({ attempt }) => attempts.push(attempt))
  await transport.connect()
  for (const lastsMs of [0, 0, 80]) {
    await delay(lastsMs)
    const back = Promise.all([next(transport.events, 'close'), next(transport.events, 'open')])
    server.cut()
    const [close] = await back
    assert.deepEqual(close, { code: 1006, reason: '', willReconnect: true })
  }
  assert.deepEqual(attempts, [1, 2, 1])
})

test('it keeps reconnecting while the server is away', async (t) => {
  const server = await startFakeServer(t)
  const transport = transportFor(t, { url: server.url, reconnect: quick })
  const delays: number[] = []
  transport.events.on('reconnecting', ({ delayMs }) => delays.push(delayMs))
  await transport.connect()
  await server.stop()
  while (delays.length < 5) await next(transport.events, 'reconnecting')
  assert.deepEqual(delays.slice(0, 5), [5, 10, 20, 20, 20])
  assert.equal(transport.state, 'connecting')
  await startFakeServer(t, Number(new URL(server.url).port))
  await next(transport.events, 'open')
})

test('without reconnection a lost connection stays lost, until connect() is called again', async (t) => {
  const server = await startFakeServer(t)
  const transport = transportFor(t, { url: server.url, reconnect: false })
  await transport.connect()
  const lost = next(transport.events, 'close')
  server.cut()
  assert.equal((await lost).willReconnect, false)
  assert.equal(transport.state, 'closed')
  await transport.connect()
  assert.equal(transport.state, 'open')
})

test('close() works in every state', async (t) => {
  const server = await startFakeServer(t)
  const transport = transportFor(t, { url: server.url, reconnect: { ...quick, firstDelayMs: 30 } })
  await transport.close()

  const connecting = assert.rejects(transport.connect(), { name: 'RelayError' })
  await transport.close()
  await connecting

  const unanswered = transportFor(t, { url: await muteServer(t) })
  const opening = unanswered.connect()
  await delay(5) // the socket exists now
  await Promise.all([assert.rejects(opening, { name: 'RelayError' }), unanswered.close()])

  await transport.connect()
  const closed = next(transport.events, 'close')
  await transport.close(1000, 'bye')
  assert.deepEqual(await closed, { code: 1000, reason: 'bye', willReconnect: false })

  await transport.connect()
  const waiting = next(transport.events, 'reconnecting')
  server.cut()
  await waiting
  await transport.close()
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout'),
    []
  )
  let comebacks = 0
  transport.events.on('open', () => (comebacks += 1))
  await delay(60)
  assert.deepEqual([transport.state, comebacks], ['closed', 0])
})

test('close() cuts the connection when the server does not answer', async (t) => {
  const server = await startFakeServer(t)
  server.intercept = (_frame, socket) => {
    socket.pause()
    return true
  }
  const transport = transportFor(t, { url: server.url, closeTimeoutMs: 40 })
  await transport.connect()
  transport.send({ type: 'x', payload: {} })
  await delay(20)
  const started = Date.now()
  await transport.close()
  assert.ok(Date.now() - started < 1_000)
})

test('a handler that throws stops neither the connection nor the other handlers', async (t) => {
  const server = await startFakeServer(t)
  const transport = transportFor(t, { url: server.url })
  const complaint = t.mock.method(console, 'error', () => {})
  transport.events.on('frame', () => {
    throw new Error('a mistake in the application')
  })
  await transport.connect()
  transport.send({ type: 'discover', payload: {} })
  await next(transport.events, 'frame')
  assert.equal(complaint.mock.callCount(), 1)
})

test('a process that has closed its transport can end', async (t) => {
  const server = await startFakeServer(t)
  server.intercept = (_frame, socket) => {
    socket.pause() // it will not even answer the close frame
    return true
  }
  const program = `
    import { createTransport } from ${JSON.stringify(ownFile('client/src/transport.ts'))}
    const transport = createTransport({ url: ${JSON.stringify(server.url)}, closeTimeoutMs: 50 })
    await transport.connect()
    transport.send({ type: 'x', payload: {} })
    await transport.close()
    console.log('closed')`
  const args = [...OWN_OPTIONS, '--input-type=module', '--eval', program]
  // Left to itself, the socket would keep the process alive for another 30 seconds.
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 15_000 })
  assert.equal(stdout.trim(), 'closed')
})

test('a server that is busy says when to come back, and the client comes no earlier', async (t) => {
  const server = await startFakeServer(t)
  const port = Number(new URL(server.url).port)
  const transport = transportFor(t, { url: server.url, reconnect: quick })
  const delays: number[] = []
  transport.events.on('reconnecting', ({ delayMs }) => delays.push(delayMs))
  await transport.connect()
  await server.stop()
  const busy = createHttpServer().on('upgrade', (_request, socket) =>
    socket.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n')
  )
  t.after(() => busy.close())
  await new Promise<void>((resolve) => busy.listen(port, '127.0.0.1', resolve))
  const cause = await nextThat(transport, /HTTP 503/)
  assert.match(cause.message, /cannot connect to .*: HTTP 503/)
  while (delays.at(-1) !== 1_000) await next(transport.events, 'reconnecting')
  busy.close()
  await startFakeServer(t, port)
  await next(transport.events, 'open')
})

async function nextThat(transport: Transport, pattern: RegExp): Promise<Error> {
  for (;;) {
    const error = await next(transport.events, 'error')
    if (pattern.test(error.message)) return error
  }
}
