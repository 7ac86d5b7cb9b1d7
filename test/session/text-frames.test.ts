// Frames that are encoded once for many sockets, as a WebSocket client reads them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { encodeTextFrames } from '../../src/session/text-frames.ts'

test('frames of every length arrive one by one, between those of the WebSocket layer', async (t) => {
  const server = createServer()
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
  })
  const texts = [
    '',
    'x',
    'é'.repeat(62),
    ...[125, 126, 65_535, 65_536].map((length) => 'y'.repeat(length)),
    '😀'.repeat(99)
  ]
  sockets.on('connection', (socket, request) => {
    socket.send('before')
    request.socket.write(encodeTextFrames(texts))
    socket.send('behind')
  })
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const heard: string[] = []
  client.on('message', (data, isBinary) => heard.push(isBinary ? 'binary' : data.toString()))
  while (heard.at(-1) !== 'behind') await once(client, 'message')
  assert.deepEqual(heard, ['before', ...texts, 'behind'])
})
