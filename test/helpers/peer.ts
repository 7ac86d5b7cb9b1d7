// A bare peer for tests: says exactly what it is told, remembers everything it hears.
import type { TestContext } from 'node:test'
import type { ClientOptions } from 'ws'
import { createSigner, type Identity, type Signer } from '../../client/src/identity.ts'
import { excerpt, type Line, type OpenLine, openLine, type ReceivedFrame, raise } from './inbox.ts'
import { checkServerFrames } from './server-frames.ts'

export type { ReceivedFrame } from './inbox.ts'

export interface Peer extends Line {
  /** Set by `register`. */
  readonly clientId: string
  readonly identity: Identity
  /** Sends one frame as JSON text. */
  send(frame: unknown): void
  /** Makes a round trip and fails on any frame that was not taken before, or that comes in between. */
  nothingMore(ms?: number): Promise<void>
  /** Registers and takes the reply, which must be the first frame. Default identity: {@link quickIdentity}. */
  register(clientId: string, identity?: Identity): Promise<ReceivedFrame>
}

/** Connects; the socket is cut after the test. `options` go to `ws`: headers, origin, `autoPong: false`, and so on. */
export async function openPeer(t: Pick<TestContext, 'after'>, url: string, options: ClientOptions = {}): Promise<Peer> {
  const line = await openLine(t, url, options)
  checkServerFrames(line, 'signaling')
  return peerOn(line)
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
  return { ...(await quickSigner()), publicKey, secretKey: new Uint8Array() }
}

/** A fresh ed25519 key. */
export const quickSigner = (): Promise<Signer> => createSigner('ed25519', crypto.getRandomValues(new Uint8Array(32)))

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

function peerOn(line: OpenLine): Peer {
  const self: { clientId?: string; identity?: Identity } = {}
  const send = (frame: unknown) => line.ws.send(JSON.stringify(frame))
  return {
    ...line,
    get clientId() {
      return self.clientId ?? raise('this peer has not registered')
    },
    get identity() {
      return self.identity ?? raise('this peer has not registered')
    },
    send,
    nothingMore: async (ms) => {
      send({ type: 'discover', payload: {}, timestamp: Date.now() })
      const frame = await line.next(undefined, ms)
      if (!isRoundTrip(frame)) throw new Error(`expected nothing more, received ${excerpt(frame)}`)
    },
    register: async (clientId, identity) => {
      const who = identity ?? (await quickIdentity())
      send(await registerFrame(clientId, who))
      const reply = await line.next()
      if (reply.type !== 'register') throw new Error(`expected the reply to register, received ${excerpt(reply)}`)
      Object.assign(self, { clientId, identity: who })
      return reply
    }
  }
}

/** An unregistered peer is refused everything but `register`, and that refusal is its round trip. */
function isRoundTrip({ type, payload }: ReceivedFrame): boolean {
  return type === 'discover' || (type === 'error' && payload.errorType === 'REGISTRATION_REQUIRED')
}
