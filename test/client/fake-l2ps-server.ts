// A small L2PS server for tests of the client: checks proofs, stores messages, and misbehaves on request.
import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { verifyAsync } from '@noble/ed25519'
import type { WebSocket } from 'ws'
import { fromHex } from '../../client/src/base64.ts'
import type { StoredMessage } from '../../client/src/l2ps-answers.ts'
import { type ClientFrame, type FakeListener, listen } from './fake-server.ts'

export interface FakeL2psServer extends FakeListener {
  /** Registered sockets and their keys. There is one network only. */
  readonly peers: Map<WebSocket, string>
  /** Everything accepted, oldest first; `queued` until its recipient has it. */
  readonly messages: StoredMessage[]
  /** Proofs accepted by a registration, and the socket of each. */
  readonly usedProofs: Map<string, WebSocket>
  /** Returns true when it has handled the frame itself. */
  intercept: ((frame: ClientFrame, socket: WebSocket) => boolean) | undefined
  /** Sends a frame to every registered socket of that key. */
  push(key: string, type: string, payload: unknown): void
}

export async function startFakeL2psServer(t: TestContext, port = 0): Promise<FakeL2psServer> {
  const listener = await listen(t, port, {
    frame: (frame, socket) => server.intercept?.(frame, socket) || handle(server, socket, frame),
    close: (socket) => leave(server, socket)
  })
  const server: FakeL2psServer = {
    ...listener,
    peers: new Map(),
    messages: [],
    usedProofs: new Map(),
    intercept: undefined,
    push: (key, type, payload) => {
      for (const [socket, peer] of server.peers) if (peer === key) socket.send(pushed(type, payload))
    }
  }
  return server
}

const pushed = (type: string, payload: unknown) => JSON.stringify({ type, payload, timestamp: Date.now() })

/** Answers a request. */
export function answer(socket: WebSocket, { requestId }: ClientFrame, type: string, payload: unknown): true {
  socket.send(JSON.stringify({ type, payload, timestamp: Date.now(), requestId }))
  return true
}

/** What `act` writes is received as one piece. */
export function atOnce(socket: WebSocket, act: () => void): true {
  const { _socket: stream } = socket as unknown as { _socket: Duplex }
  stream.cork()
  act()
  stream.uncork()
  return true
}

export const refuse = (socket: WebSocket, request: ClientFrame, code: string, message: string) =>
  answer(socket, request, 'error', { code, message })

async function handle(server: FakeL2psServer, socket: WebSocket, frame: ClientFrame): Promise<void> {
  assert.match(frame.requestId ?? '', /^req_\d{13}_[0-9a-f]{10}$/)
  assert.ok(Number.isSafeInteger(frame.timestamp))
  if (frame.type === 'register') return register(server, socket, frame)
  const key = server.peers.get(socket)
  if (key === undefined) refuse(socket, frame, 'REGISTRATION_REQUIRED', 'Register first')
  else if (frame.type === 'send') accept(server, socket, frame, key)
  else if (frame.type === 'history') return history(server, socket, frame, key)
  else if (frame.type === 'discover') {
    answer(socket, frame, 'discover_response', { peers: [...new Set(server.peers.values())] })
  } else if (frame.type === 'request_public_key') {
    const { targetId } = frame.payload
    const isKnown = [...server.peers.values()].includes(targetId)
    answer(socket, frame, 'public_key_response', { targetId, publicKey: isKnown ? targetId : null })
  } else refuse(socket, frame, 'INVALID_MESSAGE', `Unknown type: ${frame.type}`)
}

async function register(server: FakeL2psServer, socket: WebSocket, frame: ClientFrame): Promise<void> {
  const { publicKey, l2psUid, proof } = frame.payload
  const isGood = await verify(`register:${publicKey}:${frame.timestamp}`, proof, publicKey)
  if (!isGood || (server.usedProofs.get(proof) ?? socket) !== socket) {
    refuse(socket, frame, 'INVALID_PROOF', 'Signature verification failed')
    return
  }
  server.usedProofs.set(proof, socket)
  const others = new Set([...server.peers.values()].filter((key) => key !== publicKey))
  server.peers.set(socket, publicKey)
  answer(socket, frame, 'registered', { success: true, publicKey, l2psUid, onlinePeers: [...others] })
  for (const other of others) server.push(other, 'peer_joined', { publicKey })
  for (const message of server.messages) {
    if (message.to === publicKey && message.status === 'queued') deliver(server, message, true)
  }
}

function accept(server: FakeL2psServer, socket: WebSocket, frame: ClientFrame, from: string): void {
  const { to, encrypted, messageHash } = frame.payload
  const known = server.messages.find(
    (message) => message.from === from && message.to === to && message.messageHash === messageHash
  )
  if (known && JSON.stringify(known.encrypted) !== JSON.stringify(encrypted)) {
    refuse(socket, frame, 'L2PS_SUBMIT_FAILED', 'Duplicate message')
    return
  }
  const timestamp = 1_750_000_000_000 + server.messages.length
  const route = { id: `id${timestamp}`, from, to, messageHash, encrypted, l2psUid: 'net', l2psTxHash: null }
  const message = known ?? { ...route, timestamp, status: 'queued' }
  if (!known) {
    server.messages.push(message)
    if ([...server.peers.values()].includes(to)) deliver(server, message, false)
  }
  if (message.status === 'queued') answer(socket, frame, 'message_queued', { messageHash, status: 'queued' })
  else answer(socket, frame, 'message_sent', { messageHash, l2psStatus: 'submitted' })
}

function deliver(server: FakeL2psServer, message: StoredMessage, offline: boolean): void {
  const { from, to, encrypted, messageHash } = message
  server.push(to, 'message', { from, encrypted, messageHash, offline })
  message.status = 'delivered'
}

async function history(server: FakeL2psServer, socket: WebSocket, frame: ClientFrame, key: string): Promise<void> {
  const { peerKey, proof, limit = 50, before = Number.POSITIVE_INFINITY } = frame.payload
  if (!(await verify(`history:${peerKey}:${frame.timestamp}`, proof, key))) {
    refuse(socket, frame, 'INVALID_PROOF', 'History proof failed')
    return
  }
  const ours = server.messages
    .filter(({ from, to }) => (from === key && to === peerKey) || (from === peerKey && to === key))
    .filter(({ timestamp }) => timestamp < before)
    .reverse()
  answer(socket, frame, 'history_response', { messages: ours.slice(0, limit), hasMore: ours.length > limit })
}

const verify = (text: string, proof: string, key: string) =>
  verifyAsync(fromHex(proof), new TextEncoder().encode(text), fromHex(key))

function leave(server: FakeL2psServer, socket: WebSocket): void {
  const publicKey = server.peers.get(socket)
  server.peers.delete(socket)
  const rest = new Set(server.peers.values())
  if (publicKey === undefined || rest.has(publicKey)) return
  for (const other of rest) server.push(other, 'peer_left', { publicKey })
}
