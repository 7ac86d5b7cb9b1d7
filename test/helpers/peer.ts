// A bare peer for tests: says exactly what it is told, remembers everything it hears.
import type { TestContext } from 'node:test'
import { type ClientOptions, WebSocket } from 'ws'
import { createSigner, type Identity } from '../../src/client/identity.ts'

const DEADLINE_MS = 5_000

/** A frame as it came; tests look into payloads of every shape. */
// biome-ignore lint/suspicious/noExplicitAny: a test states what it expects by reading it
export type ReceivedFrame = { type: string; payload: any; [field: string]: unknown }

export interface Peer {
  /** Set by `register`. */
  readonly clientId: string
  readonly identity: Identity
  /** Everything heard and not yet taken by `next`, oldest first. */
  readonly inbox: readonly ReceivedFrame[]
  /** Sends one frame as JSON text. */
  send(frame: unknown): void
  /** Sends text as a text frame, bytes as a binary frame, unchanged. */
  sendRaw(data: string | Uint8Array): void
  /**
   * Takes the oldest frame, or the oldest of that type (others keep their place). An `error` frame standing before
   * the awaited one fails the wait at once; so does the end of the connection.
   */
  next(type?: string, ms?: number): Promise<ReceivedFrame>
  /** Makes a round trip and fails on any frame that was not taken before, or that comes in between. */
  nothingMore(ms?: number): Promise<void>
  /** Registers and takes the reply, which must be the first frame. Default identity: {@link quickIdentity}. */
  register(clientId: string, identity?: Identity): Promise<ReceivedFrame>
  /** How the connection ended: code 1006 when it was cut. */
  readonly closed: Promise<{ code: number; reason: string }>
  /** Closes with a handshake and waits for its end. */
  close(code?: number, reason?: string): Promise<{ code: number; reason: string }>
  /** Cuts the connection without a close frame. */
  terminate(): void
  readonly ws: WebSocket
}

/** Connects; the socket is cut after the test. `options` go to `ws`: headers, origin, `autoPong: false`, and so on. */
export async function openPeer(t: Pick<TestContext, 'after'>, url: string, options: ClientOptions = {}): Promise<Peer> {
  const ws = new WebSocket(url, { perMessageDeflate: false, ...options })
  t.after(() => ws.terminate())
  const peer = peerOn(ws)
  await within(DEADLINE_MS, `no connection to ${url}`, (resolve, reject) => {
    ws.once('open', () => resolve(undefined))
    ws.once('error', reject)
  })
  return peer
}

/** A `register` frame with a genuine proof; `changes` replace fields of its payload. */
export async function registerFrame(clientId: string, identity: Identity, changes: object = {}) {
  const verification = await identity.proofOf(identity.publicKey)
  return { type: 'register', payload: { clientId, publicKey: [...identity.publicKey], verification, ...changes } }
}

/**
 * An identity that is cheap to make and to verify: ed25519, and 36 random bytes in place of an encryption key. The
 * server checks the bodies of messages only for peers whose key has the 1184 bytes of ML-KEM-768.
 */
export async function quickIdentity(publicKey = crypto.getRandomValues(new Uint8Array(36))): Promise<Identity> {
  const signer = await createSigner('ed25519', crypto.getRandomValues(new Uint8Array(32)))
  return { ...signer, publicKey, secretKey: new Uint8Array() }
}

/** Makes a round trip; returns what came before its answer, oldest first. For registered peers. */
export async function roundTrip(peer: Peer): Promise<ReceivedFrame[]> {
  peer.send({ type: 'discover', payload: {}, timestamp: Date.now() })
  const heard: ReceivedFrame[] = []
  for (;;) {
    const frame = await peer.next()
    if (isRoundTrip(frame)) return heard
    heard.push(frame)
  }
}

function peerOn(ws: WebSocket): Peer {
  const inbox = createInbox(ws)
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  const self: { clientId?: string; identity?: Identity } = {}
  const send = (frame: unknown) => ws.send(JSON.stringify(frame))
  return {
    get clientId() {
      return self.clientId ?? raise('this peer has not registered')
    },
    get identity() {
      return self.identity ?? raise('this peer has not registered')
    },
    inbox: inbox.frames,
    send,
    sendRaw: (data) => ws.send(data),
    next: inbox.next,
    nothingMore: async (ms) => {
      send({ type: 'discover', payload: {}, timestamp: Date.now() })
      const frame = await inbox.next(undefined, ms)
      if (!isRoundTrip(frame)) throw new Error(`expected nothing more, received ${excerpt(frame)}`)
    },
    register: async (clientId, identity) => {
      const who = identity ?? (await quickIdentity())
      send(await registerFrame(clientId, who))
      const reply = await inbox.next()
      if (reply.type !== 'register') throw new Error(`expected the reply to register, received ${excerpt(reply)}`)
      Object.assign(self, { clientId, identity: who })
      return reply
    },
    closed,
    close: (code = 1000, reason = '') => {
      ws.close(code, reason)
      return within(DEADLINE_MS, 'the close handshake did not end', (resolve) => closed.then(resolve))
    },
    terminate: () => ws.terminate(),
    ws
  }
}

/** An unregistered peer is refused everything but `register`, and that refusal is its round trip. */
function isRoundTrip({ type, payload }: ReceivedFrame): boolean {
  if (type === 'discover' || type === 'discover_response') return true
  return type === 'error' && (payload.errorType ?? payload.code) === 'REGISTRATION_REQUIRED'
}

function createInbox(ws: WebSocket) {
  const frames: ReceivedFrame[] = []
  let ended: string | undefined
  const waiting = new Set<() => void>()
  const changed = () => {
    for (const look of waiting) look()
  }
  ws.on('message', (data, isBinary) => {
    frames.push(isBinary ? { type: '(binary)', payload: data } : readFrame(data.toString()))
    changed()
  })
  ws.on('error', () => {}) // told by `close`, and by openPeer before the connection stands
  ws.once('close', (code, reason) => {
    ended = `the connection was closed (${code} ${reason.toString()})`
    changed()
  })

  /** Index of the frame to take; undefined: keep waiting. */
  const look = (type: string | undefined): number | undefined => {
    const index = frames.findIndex((frame) => type === undefined || frame.type === type)
    const refused = frames.findIndex((frame) => frame.type === 'error')
    if (refused !== -1 && type !== undefined && (index === -1 || refused < index)) {
      throw new Error(`expected ${type}, received ${excerpt(frames[refused]!)}`)
    }
    if (index !== -1) return index
    if (ended) throw new Error(`expected ${type ?? 'a frame'}, but ${ended}; ${heard(frames)}`)
    return undefined
  }

  const next = async (type?: string, ms = DEADLINE_MS): Promise<ReceivedFrame> => {
    const deadline = Date.now() + ms
    for (;;) {
      const index = look(type)
      if (index !== undefined) return frames.splice(index, 1)[0]!
      const complaint = () => `expected ${type ?? 'a frame'} within ${ms} ms; ${heard(frames)}`
      let wake = () => {}
      try {
        await within(deadline - Date.now(), complaint, (resolve) => {
          wake = () => resolve(undefined)
          waiting.add(wake)
        })
      } finally {
        waiting.delete(wake)
      }
    }
  }
  return { frames, next }
}

function readFrame(text: string): ReceivedFrame {
  try {
    return JSON.parse(text)
  } catch {
    return { type: '(not JSON)', payload: text }
  }
}

const heard = (frames: readonly ReceivedFrame[]) =>
  frames.length === 0 ? 'nothing was received' : `received instead: ${frames.map(excerpt).join(', ')}`

function excerpt(frame: ReceivedFrame): string {
  const text = JSON.stringify(frame) ?? String(frame)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

function raise(message: string): never {
  throw new Error(message)
}

function within<T>(
  ms: number,
  complaint: string | (() => string),
  start: (resolve: (value: T) => void, reject: (cause: Error) => void) => void
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = () => reject(new Error(typeof complaint === 'string' ? complaint : complaint()))
    const timer = setTimeout(late, Math.max(0, ms))
    const settle =
      <A>(done: (value: A) => void) =>
      (value: A) => {
        clearTimeout(timer)
        done(value)
      }
    start(settle(resolve), settle(reject))
  })
}
