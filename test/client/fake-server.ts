// A small signaling server for tests of the client: answers in order, stores nothing, and misbehaves on request.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type WebSocket, WebSocketServer } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: the client's frames, as they come
export type ClientFrame = { type: string; payload: any; timestamp?: number; requestId?: string }

/** Returns true when it has handled the frame itself. */
export type Intercept = (frame: ClientFrame, socket: WebSocket, server: FakeServer) => boolean

export interface FakeListener {
  readonly url: string
  /** Every frame received, oldest first. */
  readonly received: ClientFrame[]
  /** Cuts every connection without a close frame. */
  cut(): void
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
}

export interface FakeServer extends FakeListener {
  /** Registered peers that are connected. */
  readonly peers: Map<string, WebSocket>
  readonly keys: Map<string, number[]>
  intercept: Intercept | undefined
}

export async function startFakeServer(t: TestContext, port = 0): Promise<FakeServer> {
  const listener = await listen(t, port, {
    frame: (frame, socket) => server.intercept?.(frame, socket, server) || handle(server, socket, frame),
    close: (socket) => leave(server, socket)
  })
  const server: FakeServer = { ...listener, peers: new Map(), keys: new Map(), intercept: undefined }
  return server
}

/** A WebSocket server on a free port, or on `port`, that is gone after the test. */
export async function listen(
  t: TestContext,
  port: number,
  on: { frame(frame: ClientFrame, socket: WebSocket): unknown; close(socket: WebSocket): void }
): Promise<FakeListener> {
  const listener = new WebSocketServer({ port, host: '127.0.0.1' })
  await once(listener, 'listening')
  const received: ClientFrame[] = []
  listener.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data) => {
      const frame: ClientFrame = JSON.parse(data.toString())
      received.push(frame)
      on.frame(frame, socket)
    })
    socket.on('close', () => on.close(socket))
  })
  const cut = () => {
    for (const socket of listener.clients) socket.terminate()
  }
  const stop = async () => {
    cut()
    await new Promise((resolve) => listener.close(resolve))
  }
  t.after(stop)
  return { url: `ws://127.0.0.1:${(listener.address() as AddressInfo).port}`, received, cut, stop }
}

export function reply(socket: WebSocket, type: string, payload: object): true {
  socket.send(JSON.stringify({ type, payload }))
  return true
}

export const refuse = (socket: WebSocket, errorType: string, details: string) =>
  reply(socket, 'error', { errorType, details, timestamp: new Date().toISOString() })

function handle(server: FakeServer, socket: WebSocket, { type, payload }: ClientFrame): void {
  if (type === 'register') {
    server.peers.set(payload.clientId, socket)
    server.keys.set(payload.clientId, payload.publicKey)
    reply(socket, 'register', { success: true, clientId: payload.clientId })
  } else if (type === 'discover') reply(socket, 'discover', { peers: [...server.peers.keys()] })
  else if (type === 'request_public_key') giveKey(server, socket, payload.targetId)
  else if (type === 'message') relay(server, socket, payload)
  else if (type === 'debug_question') {
    reply(socket, 'server_question', { questionId: 'q1', question: { text: 'How are you?' } })
  } else if (type !== 'peer_response') refuse(socket, 'INVALID_MESSAGE', `Unknown message type: ${type}`)
}

function giveKey(server: FakeServer, socket: WebSocket, peerId: string): void {
  const publicKey = server.keys.get(peerId)
  if (publicKey) reply(socket, 'public_key_response', { peerId, publicKey })
  else refuse(socket, 'PEER_NOT_FOUND', `Target peer ${peerId} not found`)
}

function relay(server: FakeServer, socket: WebSocket, { targetId, message }: ClientFrame['payload']): void {
  const target = server.peers.get(targetId)
  const [fromId] = [...server.peers].find(([, peer]) => peer === socket) ?? []
  if (target) reply(target, 'message', { message, fromId })
  else reply(socket, 'message_queued', { targetId, status: 'offline', message: 'Message stored for offline delivery' })
}

function leave(server: FakeServer, socket: WebSocket): void {
  for (const [peerId, peer] of server.peers) {
    if (peer !== socket) continue
    server.peers.delete(peerId)
    for (const other of server.peers.values()) reply(other, 'peer_disconnected', { peerId })
  }
}
