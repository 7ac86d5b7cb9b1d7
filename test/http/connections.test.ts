import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { atEnd } from '../helpers/at-end.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { logLines } from '../helpers/log-lines.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { lineWith } from '../helpers/processes.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

const portOf = (url: string | undefined) => Number(new URL(url!).port)
const portsOf = ({ addresses }: TestServer) => [portOf(addresses.signaling), portOf(addresses.l2ps)]

/** Everything a connection says until it ends, or until `isEnough`. */
async function heard(socket: Socket, isEnough: (text: string) => boolean = () => false): Promise<string> {
  let text = ''
  socket.on('error', () => {})
  for await (const chunk of socket) {
    text += chunk
    if (isEnough(text)) break
  }
  return text
}

const UPGRADE = [
  ...['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
].join('\r\n')
const OFFERS = ['h2c', 'HTTP/2.0', 'TLS/1.0', 'foo', 'h2c, websocket'] as const

test('any offer of another protocol but WebSocket is plain HTTP, on both listeners', async (t) => {
  const server = await startTestServer(t)
  for (const port of portsOf(server)) {
    for (const offer of OFFERS) {
      const socket = connect(port, '127.0.0.1')
      const lines = [
        'Host: relay',
        `Upgrade: ${offer}`,
        'Connection: Upgrade, HTTP2-Settings',
        'HTTP2-Settings: AAMAAABk'
      ]
      socket.write(`GET /health/live HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      socket.write('GET /health/live HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n')
      const text = await heard(socket)
      assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2, `${offer}: ${text}`)
    }
  }
})

test('a request with a body that offers another protocol is served whole', async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: 'correct-horse-battery' })
  const socket = connect(portsOf(server)[0]!, '127.0.0.1')
  const body = JSON.stringify({ uid: 'made-net' })
  const headers = [
    ...['Host: relay', 'Upgrade: h2c', 'Connection: upgrade, close', 'Authorization: Bearer correct-horse-battery'],
    ...['Content-Type: application/json', `Content-Length: ${body.length}`]
  ]
  socket.write(`POST /admin/networks HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body.slice(0, 5)}`)
  setImmediate(() => socket.write(body.slice(5)))
  assert.match(await heard(socket), /^HTTP\/1\.1 201 /)
})

test('an offer over TLS is plain HTTP, too', needs('openssl'), async (t) => {
  const { certFile, keyFile } = await makeCertificate(t)
  const server = await startTestServer(t, { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile })
  for (const port of portsOf(server)) {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    socket.write('GET /health/live HTTP/1.1\r\nHost: relay\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n')
    assert.match(await heard(socket), /^HTTP\/1\.1 200 OK/)
  }
})

test('a connection that rests between two requests is kept for more than a minute, on both listeners', async (t) => {
  const server = await startTestServer(t)
  for (const { keepAliveTimeout } of [server.app.server, server.app.sockets.l2psListener]) {
    assert.ok(keepAliveTimeout > 60_000)
  }
})

test('garbage behind a request, and a client that is gone, leave no error in the log', async (t) => {
  const log = logLines()
  const server = await startTestServer(t, { MAX_CONNECTIONS: '1000' }, { logger: log.logger })
  const paths = ['/', '/signaling', '/nowhere', '/admin/networks', '/audit/signaling/checkpoint', '/health/ready']
  for (const port of portsOf(server)) {
    for (const path of [...paths, '/metrics', '/console/', '/docs/openapi.json']) {
      for (const upgrade of ['', UPGRADE]) {
        const ask = (garbage: string) => {
          const socket = connect(port, '127.0.0.1').on('error', () => {})
          socket.write(`GET ${path} HTTP/1.1\r\nHost: relay\r\n${upgrade}\r\n${garbage}`)
          return socket
        }
        const socket = ask('\0\0garbage\r\n\r\n')
        const gone = ask('')
        await once(gone, 'connect')
        gone.resetAndDestroy()
        await heard(socket).catch(() => '') // it may be reset
      }
    }
  }
  assert.equal((await server.app.inject('/health/live')).statusCode, 200)
  const loud = log.lines.filter(({ level }) => level === 'warn' || level === 'error' || level === 'fatal')
  assert.deepEqual(loud, [])
})

/** Connections that hang in every state a client may leave them in. */
async function hangingConnections(t: TestContext, port: number): Promise<void> {
  const texts = [
    '',
    'G',
    'GET / HTTP/1.1\r\nHost: relay\r\n',
    'POST /admin/networks HTTP/1.1\r\nHost: relay\r\nContent-Length: 100\r\n\r\n{',
    'GET /health/live HTTP/1.1\r\nHost: relay\r\n\r\n',
    'GET /health/live HTTP/1.1\r\nHost: relay\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: relay\r\n${UPGRADE}\r\n`
  ]
  for (const text of texts) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    atEnd(t, () => socket.destroy())
    await once(socket, 'connect')
    socket.write(text)
    if (text.endsWith('\r\n\r\n')) await once(socket, 'data')
  }
}

for (const tls of [false, true]) {
  test(
    `the program ends with 0 within the grace, whatever hangs on its listeners${tls ? ', with TLS' : ''}`,
    tls ? needs('openssl') : {},
    async (t) => {
      const { url } = await createTestDatabase(t)
      const { certFile, keyFile } = tls ? await makeCertificate(t) : { certFile: '', keyFile: '' }
      const child = spawn(process.execPath, [...OWN_OPTIONS, ownFile('src/main.ts')], {
        env: {
          ...process.env,
          ...{ DATA_DIR: await temporaryDirectory(t), DATABASE_URL: url, SHUTDOWN_GRACE_SECONDS: '4' },
          ...{ RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0', TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }
        },
        stdio: ['ignore', 'pipe', 'inherit']
      })
      atEnd(t, () => child.kill('SIGKILL'))
      const facts = await lineWith(child, 'server ready')
      for (const address of [facts.signaling, facts.l2ps] as string[]) {
        if (!tls) await hangingConnections(t, portOf(address))
        const bare = connect(portOf(address), '127.0.0.1').on('error', () => {})
        atEnd(t, () => bare.destroy())
        await once(bare, 'connect')
      }
      const began = performance.now()
      child.kill('SIGTERM')
      assert.deepEqual(await once(child, 'exit'), [0, null])
      assert.ok(performance.now() - began < 4_500)
    }
  )
}

test('while too many connect at once, a handshake gets 503 and when to come back, before it is a socket', async (t) => {
  const server = await startTestServer(t)
  const turn = t.mock.method(server.app.sessions, 'turn', async () => 7)
  for (const port of portsOf(server)) {
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET / HTTP/1.1\r\nHost: relay\r\n${UPGRADE}\r\n`)
    const text = await heard(socket, (soFar) => soFar.endsWith('}'))
    assert.match(text, /^HTTP\/1\.1 503 /)
    assert.match(text, /\r\nretry-after: 7\r\n/i)
    socket.destroy()
  }
  assert.equal(server.app.sessions.size, 0)
  assert.match(await server.app.metrics.text(), /demos_relay_sockets_refused_total\{reason="busy"\} 2/)
  turn.mock.restore()
  await server.join('alice')
})
