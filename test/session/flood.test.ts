// Floods on real sockets: what they cost the others, and what becomes of the flooding socket.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { WebSocket } from 'ws'
import { roundTrip } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { clientFrame } from '../siege/attack.ts'

const rawOf = (ws: WebSocket) => (ws as unknown as { _socket: { write(bytes: Buffer): boolean } })._socket

async function slowed(server: TestServer, budget: string): Promise<number> {
  const text = await (await fetch(`${server.addresses.http}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith('demos_relay_sockets_slowed_total'))
  return lines
    .filter((line) => line.includes(`budget="${budget}"`))
    .reduce((sum, line) => sum + Number(line.split(' ')[1]), 0)
}

async function flood(t: TestContext, server: TestServer, frame: Buffer, copies: number) {
  const peer = await server.join('flood')
  t.after(() => peer.terminate())
  rawOf(peer.ws).write(Buffer.concat(Array<Buffer>(copies).fill(frame)))
  return peer
}

test('a flood of pongs is read more slowly, and a quiet neighbour does not wait for its end', async (t) => {
  const server = await startTestServer(t)
  const quiet = await server.join('quiet')
  await flood(t, server, clientFrame(Buffer.alloc(0), 'pong'), 400_000)
  await roundTrip(quiet)
  await until('the flood is read more slowly', async () => (await slowed(server, 'own')) > 0)
  await roundTrip(quiet)
})

test('frames are handled in their order, whatever pieces they come in', async (t) => {
  const server = await startTestServer(t)
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  const frames = Array.from({ length: 2_000 }, (_, n) => {
    const message = { n, filler: 'x'.repeat((n * 37) % 700) }
    return clientFrame(Buffer.from(JSON.stringify({ type: 'message', payload: { targetId: 'bob', message } })))
  })
  rawOf(alice.ws).write(Buffer.concat(frames))
  for (let n = 0; n < frames.length; n++) assert.equal((await bob.next('message', 30_000)).payload.message.n, n)
})

test('who sends as the official client and bots do is never slowed down', async (t) => {
  const server = await startTestServer(t)
  const [bot, reader] = [await server.join('bot'), await server.join('reader')]
  for (let n = 0; n < 1_000; n++) {
    bot.send({ type: 'message', payload: { targetId: 'reader', message: 'x'.repeat(1_000) } })
  }
  for (let n = 0; n < 1_000; n++) await reader.next('message', 30_000)
  assert.deepEqual([await slowed(server, 'own'), await slowed(server, 'shared')], [0, 0])
})

test('a frame over 32,768 bytes before registration is refused, and its socket closed', async (t) => {
  const server = await startTestServer(t)
  const peer = await server.peer()
  peer.ws.send('x'.repeat(100_000))
  const { payload } = await peer.next()
  assert.equal(payload.details, 'Message too large (max 32768 bytes before registration)')
  assert.equal((await peer.closed).code, 1009)
})

test('a message that is not complete in time closes its socket', async (t) => {
  const server = await startTestServer(t, { MESSAGE_DEADLINE_SECONDS: 1 })
  const peer = await server.join('slow')
  rawOf(peer.ws).write(clientFrame(Buffer.alloc(50_000, 'x'), 'text', false))
  assert.equal((await peer.closed).code, 1008)
})
