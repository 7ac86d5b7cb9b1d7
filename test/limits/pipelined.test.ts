// Requests that are sent without waiting for answers, by real connections: one after the other, and in turns with sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../helpers/at-end.ts'
import { roundTrip } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { clientFrame } from '../siege/attack.ts'

const TOKEN = 'correct-horse-battery'
const asked = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: relay\r\n${more}\r\n`
const LAST = 'Connection: close\r\n'
const HANDSHAKE = [
  ...['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
].join('\r\n')

function open(t: TestContext, { addresses }: TestServer): Socket {
  const socket = connect(Number(new URL(addresses.http).port), '127.0.0.1').on('error', () => {})
  atEnd(t, () => socket.destroy())
  return socket
}

/** Counts the requests to a path, and how many of them were under way at once. */
function watchRequests({ app }: TestServer, path: string) {
  const seen = { begun: 0, underWay: 0, most: 0 }
  app.server.prependListener('request', ({ url }: IncomingMessage, response: ServerResponse) => {
    if (url !== path) return
    seen.begun += 1
    seen.underWay += 1
    seen.most = Math.max(seen.most, seen.underWay)
    response.once('close', () => {
      seen.underWay -= 1
    })
  })
  return seen
}

async function answers(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

const countOf = (text: string, what: string) => text.split(what).length - 1

test('requests that were sent at once are answered one after the other', async (t) => {
  const server = await startTestServer(t)
  const seen = watchRequests(server, '/health/live')
  const socket = open(t, server)
  socket.write(asked('/health/live').repeat(2_000) + asked('/nowhere', LAST))
  const text = await answers(socket)
  assert.equal(countOf(text, 'HTTP/1.1 200 OK'), 2_000)
  assert.match(text.slice(text.lastIndexOf('HTTP/1.1 ')), /^HTTP\/1\.1 404 /)
  assert.deepEqual(seen, { begun: 2_000, underWay: 0, most: 1 })
})

test('while answers are not read no further request is begun, and no memory is taken for it', async (t) => {
  const server = await startTestServer(t, { WORK_PER_ADDRESS: 0, WORK_PER_SOCKET: 0 })
  const seen = watchRequests(server, '/docs/openapi.json')
  const socket = open(t, server)
  socket.pause()
  socket.write(asked('/docs/openapi.json').repeat(1_000)) // 100 MB of answers
  await until('the first of them are answered', () => seen.begun > 1)
  let before = 0
  await until('nothing more is begun', async () => {
    await Promise.all(Array.from({ length: 20 }, () => fetch(`${server.addresses.http}/health/live`)))
    const isSame = seen.begun === before
    before = seen.begun
    return isSame
  })
  assert.ok(seen.begun < 500, `${seen.begun} begun`) // what the system takes
  assert.equal(seen.most, 1)
})

test('a connection that asks for more than its budget is read more slowly, and others are answered meanwhile', async (t) => {
  const server = await startTestServer(t, { WORK_PER_SOCKET: 2_000 }) // 4 ms of work at once, then 2 ms a second
  const seen = watchRequests(server, '/health/ready')
  const flood = open(t, server)
  flood.resume().write(asked('/health/ready').repeat(1_000))
  await until('some are answered', () => seen.begun >= 10)
  for (let n = 0; n < 20; n++) {
    const probe = open(t, server)
    probe.write(asked('/health/live', LAST))
    assert.match(await answers(probe), /^HTTP\/1\.1 200 OK/)
  }
  await roundTrip(await server.join('alice'))
  assert.ok(seen.begun < 500, `${seen.begun} begun`)
})

test('a request with a body in pieces, another, and a handshake with a frame may come in one segment', async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: TOKEN })
  const socket = open(t, server)
  const body = JSON.stringify({ uid: 'made-net', filler: 'x'.repeat(5_000) }) // refused for the filler
  const headers = `Authorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  const post = `POST /admin/networks HTTP/1.1\r\nHost: relay\r\n${headers}\r\n${body}`
  const frame = clientFrame(Buffer.from(JSON.stringify({ type: 'discover', payload: {} })))
  socket.write(Buffer.concat([Buffer.from(post + asked('/health/live') + asked('/signaling', HANDSHAKE)), frame]))
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await until(
    () => `all is answered: ${text}`,
    () => text.includes('REGISTRATION_REQUIRED')
  )
  assert.deepEqual(
    Array.from(text.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status),
    ['400', '200', '101']
  )
})

test('who leaves in the middle of an answer, or of a request, leaves nothing under way', async (t) => {
  const server = await startTestServer(t)
  const seen = watchRequests(server, '/metrics')
  for (let n = 0; n < 20; n++) {
    const socket = open(t, server)
    socket.write(asked('/metrics').repeat(50) + asked('/metrics').slice(0, 10))
    await once(socket, 'data')
    socket.resetAndDestroy()
  }
  await until('all are done with', () => seen.underWay === 0)
  assert.equal((await fetch(`${server.addresses.http}/metrics`)).status, 200)
})
