// What everything is compared with: the least a JSON relay over WebSocket can do. One JSON.parse and one JSON.stringify
// a message, no checks, no storage, no order of answers; a message for somebody who is away is gone.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type WebSocket, WebSocketServer } from 'ws'
import { answerParent } from './parent.ts'

// biome-ignore lint/suspicious/noExplicitAny: no checks is the point
type Frame = any

/** As the server is watched. */
const LAG_RESOLUTION_MS = 10

const peers = new Map<string, WebSocket>()
const server = createServer((_request, response) => response.end('ok'))
const sockets = new WebSocketServer({ server, perMessageDeflate: false })

sockets.on('connection', (socket) => {
  let name = ''
  socket.on('message', (data) => {
    const frame: Frame = JSON.parse(String(data))
    const { payload, requestId } = frame
    if (frame.type === 'message') {
      const text = JSON.stringify({ type: 'message', payload: { message: payload.message, fromId: name } })
      peers.get(payload.targetId)?.send(text)
    } else if (frame.type === 'send') {
      const { encrypted, messageHash } = payload
      const text = JSON.stringify({ type: 'message', payload: { from: name, encrypted, messageHash, offline: false } })
      peers.get(payload.to)?.send(text)
      socket.send(`{"type":"message_sent","payload":{"messageHash":"${messageHash}"},"requestId":"${requestId}"}`)
    } else if (frame.type === 'register') {
      name = payload.clientId ?? payload.publicKey
      peers.set(name, socket)
      const type = payload.clientId === undefined ? 'registered' : 'register'
      socket.send(JSON.stringify({ type, payload: { success: true, clientId: name }, requestId }))
    }
  })
  socket.on('close', () => peers.delete(name))
})

const delay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
delay.enable()

answerParent({
  lag: async () => {
    const ms = Math.max(0, delay.percentile(99) / 1e6 - LAG_RESOLUTION_MS)
    delay.reset()
    return ms
  },
  start: async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: (server.address() as AddressInfo).port }
  },
  memory: async () => {
    globalThis.gc?.()
    return process.memoryUsage()
  }
})
