import { createSigner } from '../../client/src/identity.ts'
import { keyOf, registerFrame as l2psRegisterFrame } from '../helpers/l2ps-peer.ts'
import { registerFrame } from '../helpers/peer.ts'
import type { Outcome } from './history.ts'

/** The L2PS network all of them are in. */
export const CHAOS_NETWORK = 'chaos'

/** What one peer is made from: the same peer each time, in whatever process. */
export interface PeerSpec {
  readonly name: string
  readonly protocol: 'signaling' | 'l2ps'
  /** 32 bytes in hex: its signing key. */
  readonly seed: string
  readonly acks: boolean
  /** Goes away on purpose, again and again. */
  readonly restless: boolean
}

/** What a frame from the server says. */
export type Reading =
  | { readonly kind: 'registered' }
  | { readonly kind: 'turned away' }
  | { readonly kind: 'delivery'; readonly id: string; readonly from: string; readonly ack: object }
  /** About the message with this id; undefined: about the oldest one that is not answered. */
  | { readonly kind: 'answer'; readonly id: string | undefined; readonly outcome: Outcome; readonly words: string }
  /** Everything sent before the oldest unanswered message's own round trip is answered. */
  | { readonly kind: 'settled' }
  | { readonly kind: 'other' }

/** How a peer speaks its protocol. */
export interface Dialect {
  readonly path: string
  readonly address: string
  register(): Promise<object>
  /** The frames that send one message, and make sure that it is answered. */
  send(id: string, to: string): readonly object[]
  read(frame: Frame): Reading
}

// biome-ignore lint/suspicious/noExplicitAny: frames of every shape; what does not fit is `other`
export type Frame = { type: string; payload: any; requestId?: string }

/** A body that belongs to one id alone, of a length between a few bytes and a few kB. */
export const bodyOf = (id: string): string =>
  Buffer.from(`${id} `.repeat(1 + ((id.length * 7919) % 97))).toString('base64')

export async function dialectOf(spec: PeerSpec): Promise<Dialect> {
  return spec.protocol === 'signaling' ? signaling(spec) : l2ps(spec)
}

/** The names other peers call it by. */
export async function addressOf(spec: PeerSpec): Promise<string> {
  return (await dialectOf(spec)).address
}

const signerOf = ({ seed }: PeerSpec) => createSigner('ed25519', Uint8Array.from(Buffer.from(seed, 'hex')))

async function signaling(spec: PeerSpec): Promise<Dialect> {
  const signer = await signerOf(spec)
  const identity = { ...signer, publicKey: signer.signingPublicKey, secretKey: new Uint8Array() }
  const features = spec.acks ? { features: ['ack'] } : {}
  return {
    path: '/signaling',
    address: spec.name,
    register: () => registerFrame(spec.name, identity, features),
    // Answers come in order, and a message to a peer that is here has none: a question of the server comes in its place.
    send: (id, to) => [
      { type: 'message', payload: { targetId: to, message: { id, body: bodyOf(id) } } },
      { type: 'debug_question', payload: {} }
    ],
    read: readSignaling
  }
}

function readSignaling({ type, payload }: Frame): Reading {
  if (type === 'register') return { kind: 'registered' }
  if (type === 'server_question') return { kind: 'settled' }
  if (type === 'message') {
    const { id, body } = payload.message
    const ack = { type: 'ack', payload: { seq: payload.seq } }
    return { kind: 'delivery', id: body === bodyOf(id) ? id : `${id} (altered)`, from: payload.fromId, ack }
  }
  if (type === 'message_queued') return { kind: 'answer', id: undefined, outcome: 'acknowledged', words: type }
  if (type !== 'error') return { kind: 'other' }
  const { errorType, details } = payload
  if (errorType !== 'INTERNAL_ERROR' || details.startsWith('Failed to complete')) return { kind: 'turned away' }
  if (/^(Offline message limit|Too many messages|The server is busy)/.test(details)) {
    return { kind: 'answer', id: undefined, outcome: 'refused', words: details }
  }
  const outcome = details.startsWith('Failed to store message') ? 'unknown' : 'absurd'
  return { kind: 'answer', id: undefined, outcome, words: details }
}

async function l2ps(spec: PeerSpec): Promise<Dialect> {
  const signer = await signerOf(spec)
  return {
    path: '/l2ps',
    address: keyOf(signer),
    register: async () => {
      const frame = await l2psRegisterFrame(signer, CHAOS_NETWORK)
      const payload = spec.acks ? { ...frame.payload, features: ['ack'] } : frame.payload
      return { ...frame, payload, requestId: 'register' }
    },
    send: (id, to) => [
      {
        type: 'send',
        payload: { to, encrypted: { ciphertext: bodyOf(id), nonce: 'AAAAAAAAAAAAAAAA' }, messageHash: id },
        timestamp: Date.now(),
        requestId: id
      }
    ],
    read: readL2ps
  }
}

function readL2ps({ type, payload, requestId }: Frame): Reading {
  if (type === 'registered') return { kind: 'registered' }
  if (type === 'message') {
    const { messageHash: id, encrypted, from, seq } = payload
    const ack = { type: 'ack', payload: seq % 2 === 0 ? { seq } : { messageHash: id } }
    return { kind: 'delivery', id: encrypted.ciphertext === bodyOf(id) ? id : `${id} (altered)`, from, ack }
  }
  if (requestId === 'register') return { kind: 'turned away' }
  if (requestId === undefined) return { kind: 'other' }
  if (type === 'message_sent' || type === 'message_queued') {
    return { kind: 'answer', id: requestId, outcome: 'acknowledged', words: type }
  }
  const { code, message: words } = payload
  if (code === 'RATE_LIMITED') return { kind: 'answer', id: requestId, outcome: 'refused', words }
  return { kind: 'answer', id: requestId, outcome: code === 'INTERNAL_ERROR' ? 'unknown' : 'absurd', words }
}
