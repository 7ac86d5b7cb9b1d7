// What everything is compared with: the least a JSON relay over WebSocket can do. One JSON.parse and one JSON.stringify
// a message, no checks, no storage, no order of answers; a message for somebody who is away is gone.
import { createServer } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { serveRelay } from './relay-process.ts'

// biome-ignore lint/suspicious/noExplicitAny: no checks is the point
type Frame = any

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

serveRelay(server)
