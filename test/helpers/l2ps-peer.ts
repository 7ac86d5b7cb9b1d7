// A bare L2PS peer for tests: says exactly what it is told, remembers everything it hears.
import type { TestContext } from 'node:test'
import type { ClientOptions } from 'ws'
import { toHex } from '../../client/src/base64.ts'
import { historyProof, type L2psSigner, registerProof } from '../../client/src/l2ps-proof.ts'
import { excerpt, type Line, type OpenLine, openLine, type ReceivedFrame, raise } from './inbox.ts'
import { quickSigner } from './peer.ts'
import { checkServerFrames } from './server-frames.ts'

/** A frame to send. `send` adds what is not there; a field that is there and undefined stays away. */
export interface L2psFrame {
  type: string
  payload: unknown
  timestamp?: unknown
  requestId?: unknown
}

export interface L2psPeer extends Line {
  /** Set by `register`: the key as it was spelled there. */
  readonly key: string
  readonly signer: L2psSigner
  /**
   * Sends one frame with a timestamp and a requestId of its own, unless it (or `extra`) brings some; returns the
   * requestId. `{ requestId: undefined }` sends none.
   */
  send(frame: L2psFrame): string
  send(type: string, payload: unknown, extra?: Record<string, unknown>): string
  /** Takes the answer to that request, whatever it is: an `error` too. Pushed frames keep their place. */
  answerTo(requestId: string, ms?: number): Promise<ReceivedFrame>
  /** Makes a round trip and fails on any frame that was not taken before, or that comes in between. */
  nothingMore(ms?: number): Promise<void>
  /** Registers and takes the reply, which must be the first frame. Default signer: a fresh ed25519 key. */
  register(uid: string, signer?: L2psSigner): Promise<ReceivedFrame>
}

/** Connects; the socket is cut after the test. `options` go to `ws`: headers, origin, `autoPong: false`, and so on. */
export async function openL2psPeer(
  t: Pick<TestContext, 'after'>,
  url: string,
  options: ClientOptions = {}
): Promise<L2psPeer> {
  const line = await openLine(t, url, options)
  checkServerFrames(line, 'l2ps')
  return peerOn(line)
}

/** The signer's key as peers are called: lower-case hex. */
export const keyOf = (signer: L2psSigner): string => toHex(signer.signingPublicKey)

/** A `register` frame with a genuine proof over the key as spelled, unless `proof` replaces it. */
export async function registerFrame(
  signer: L2psSigner,
  l2psUid: string,
  changes: { timestamp?: number; publicKey?: string; proof?: string } = {}
) {
  const { publicKey = keyOf(signer) } = changes
  const { proof, timestamp } = await registerProof(signer, publicKey, changes.timestamp)
  return { type: 'register', payload: { publicKey, l2psUid, proof: changes.proof ?? proof }, timestamp }
}

/** A `history` frame with a genuine proof over the peer's key as spelled, unless `proof` replaces it. */
export async function historyFrame(
  signer: L2psSigner,
  peerKey: string,
  changes: { limit?: unknown; before?: unknown; timestamp?: number; proof?: string } = {}
) {
  const { timestamp: when, proof: otherProof, ...page } = changes
  const { proof, timestamp } = await historyProof(signer, peerKey, when)
  return { type: 'history', payload: { peerKey, ...page, proof: otherProof ?? proof }, timestamp }
}

let hashes = 0

/** A `send` frame; every call has another hash, unless one is given. */
export function sendFrame(to: string, ciphertext = 'AAAA', messageHash = `hash_${process.pid}_${++hashes}`) {
  return { type: 'send', payload: { to, encrypted: { ciphertext, nonce: 'AAAAAAAAAAAAAAAA' }, messageHash } }
}

function peerOn(line: OpenLine): L2psPeer {
  const self: { key?: string; signer?: L2psSigner } = {}
  const send = (what: L2psFrame | string, payload?: unknown, extra: object = {}): string => {
    const frame = typeof what === 'string' ? { type: what, payload, ...extra } : what
    const whole = { timestamp: Date.now(), requestId: freshRequestId(), ...frame }
    line.ws.send(JSON.stringify(whole))
    return whole.requestId as string
  }
  const answerTo = (requestId: string, ms?: number) =>
    line.take(`the answer to ${requestId}`, (frame) => frame.requestId === requestId, ms)
  return {
    ...line,
    get key() {
      return self.key ?? raise('this peer has not registered')
    },
    get signer() {
      return self.signer ?? raise('this peer has not registered')
    },
    send,
    answerTo,
    nothingMore: async (ms) => {
      const requestId = send('discover', {})
      const frame = await line.next(undefined, ms)
      if (frame.requestId !== requestId) throw new Error(`expected nothing more, received ${excerpt(frame)}`)
    },
    register: async (uid, signer) => {
      const who = signer ?? (await quickSigner())
      const requestId = send(await registerFrame(who, uid))
      const reply = await line.next()
      if (reply.type !== 'registered' || reply.requestId !== requestId) {
        throw new Error(`expected the reply to register, received ${excerpt(reply)}`)
      }
      Object.assign(self, { key: keyOf(who), signer: who })
      return reply
    }
  }
}

let requests = 0

/** As the official SDK makes them: `req_<ms>_<10 hex digits>`. */
function freshRequestId(): string {
  return `req_${Date.now()}_${(++requests).toString(16).padStart(10, '0')}`
}
