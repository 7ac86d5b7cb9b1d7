import { Type } from '@sinclair/typebox'
import type { L2psErrorCode } from './errors.ts'
import { defineFrame, Features, Text } from './frame.ts'

/** Longest ciphertext, in characters (docs/protocol.md, 4.3). */
export const MAX_CIPHERTEXT_LENGTH = 131_072
/** Longest requestId that is echoed, in characters. */
const MAX_REQUEST_ID_LENGTH = 128
/** Most messages on a page of history, and how many when the request does not say. */
const MAX_HISTORY_LIMIT = 200
export const DEFAULT_HISTORY_LIMIT = 50

/** Any string: what is no key, network or proof is refused by the handler, with the code that says so. */
const Words = (maxLength: number, description: string) => Type.String({ minLength: 1, maxLength, description })
const KeyText = (description: string) =>
  Words(8_192, `${description}: hex, 64 (ed25519), 1794 (Falcon-512) or 3904 (ML-DSA-65) digits`)

/**
 * Join a network with a key. Client → server. Answered by `registered`, then the backlog, or by `error`:
 * INVALID_MESSAGE, L2PS_NOT_FOUND, INVALID_PROOF, INTERNAL_ERROR. Source: docs/protocol.md, 4.2.
 */
export const RegisterFrame = defineFrame('register', 'Missing publicKey, l2psUid, or proof', {
  publicKey: KeyText('the key to be known by'),
  l2psUid: Words(256, 'the network to join'),
  proof: Words(
    16_384,
    'hex signature over register:{publicKey}:{timestamp}, the key as spelled here, the timestamp of the frame'
  ),
  features: Features
})

/** A sealed body: opaque but for its two required texts; further members are kept. */
const Encrypted = Type.Object({
  ciphertext: Type.String({
    minLength: 1,
    contentEncoding: 'base64',
    description: `base64, at most ${MAX_CIPHERTEXT_LENGTH} characters`
  }),
  nonce: Type.String({ minLength: 1, contentEncoding: 'base64', description: 'base64' })
})

/**
 * Pass one sealed message to a peer of the sender's network. Client → server. Answered by `message_sent`,
 * `message_queued` or `error`: INVALID_MESSAGE, REGISTRATION_REQUIRED, RATE_LIMITED, L2PS_SUBMIT_FAILED, INTERNAL_ERROR.
 * Source: docs/protocol.md, 4.3.
 */
export const SendFrame = defineFrame('send', 'Missing to, encrypted, or messageHash', {
  to: KeyText('the recipient'),
  encrypted: Encrypted,
  messageHash: Text(512, 'what the sender calls the message; the same one again is a retry')
})

/** A page of a conversation, newest first. Answered by `history_response` or `error`. Source: docs/protocol.md, 4.4. */
export const HistoryFrame = defineFrame('history', 'Missing peerKey or proof', {
  peerKey: KeyText('the other peer'),
  before: Type.Optional(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'ms since 1970, exclusive' })
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_HISTORY_LIMIT, default: DEFAULT_HISTORY_LIMIT })),
  proof: Words(16_384, 'hex signature over history:{peerKey}:{timestamp}, by the registered key')
})

/** A key or the beginning of one, or the beginning of the address of a longer key (docs/protocol.md, 4.5). */
const PartOfKey = (description: string) =>
  Type.Optional(
    Type.String({
      maxLength: 8_192,
      pattern: '^([0-9a-fA-F]+|(falcon|ml-dsa):[0-9a-f]*)$',
      'x-allowed':
        'the beginning of a key in hex without 0x, or of an address such as ml-dsa:1f, of at most 8192 characters',
      description
    })
  )

/** List who is in the network, the caller too. Answered by `discover_response`. Source: docs/protocol.md, 4.5. */
export const DiscoverFrame = defineFrame('discover', 'Missing or invalid type/payload', {
  after: PartOfKey('only those that come after this key'),
  prefix: PartOfKey('only those whose addresses begin so')
})

/** Is a key known in this network? Answered by `public_key_response`, with null for a key that never registered. */
export const RequestPublicKeyFrame = defineFrame('request_public_key', 'Missing targetId', {
  targetId: KeyText('whose key')
})

/** Word that messages arrived: those called so, or the one with this `seq` and all before it. Never answered. */
export const AckFrame = defineFrame('ack', 'Missing or invalid type/payload', {
  messageHash: Type.Optional(Type.String({ description: 'of the message that arrived' })),
  seq: Type.Optional(Type.Integer({ minimum: 1, description: 'of the last message that arrived' }))
})

/** A requestId that can be echoed: text of a sane length that survives JSON (docs/protocol.md, 4.1). */
export const echoable = (requestId: unknown): string | undefined =>
  typeof requestId === 'string' && requestId.length <= MAX_REQUEST_ID_LENGTH ? requestId : undefined

// What the server sends, encoded. A sealed body is JSON text already and is spliced in, never parsed again.

/** A reply carries the requestId of its request; a push carries none. `payload` is JSON text. */
const encode = (type: string, payload: string, now: number, requestId?: string) =>
  requestId === undefined
    ? `{"type":"${type}","payload":${payload},"timestamp":${now}}`
    : `{"type":"${type}","payload":${payload},"timestamp":${now},"requestId":${JSON.stringify(requestId)}}`

export const encodeReply = (type: string, payload: object, now: number, requestId: string | undefined) =>
  encode(type, JSON.stringify(payload), now, requestId)

export const encodePeerJoined = (publicKey: string, now: number) =>
  encode('peer_joined', `{"publicKey":"${publicKey}"}`, now)

export const encodePeerLeft = (publicKey: string, now: number) =>
  encode('peer_left', `{"publicKey":"${publicKey}"}`, now)

export interface DeliveredMessage {
  readonly from: string
  readonly sealed: string
  readonly messageHash: string
  readonly offline: boolean
  /** What to acknowledge it by, for clients that offered to; the others never see it. */
  readonly seq: number | undefined
}

export const encodeMessage = ({ from, sealed, messageHash, offline, seq }: DeliveredMessage, now: number) => {
  const ack = seq === undefined ? '' : `,"seq":${seq}`
  const hash = JSON.stringify(messageHash)
  return encode(
    'message',
    `{"from":"${from}","encrypted":${sealed},"messageHash":${hash},"offline":${offline}${ack}}`,
    now
  )
}

/** In pieces: `messages` are JSON texts with commas between them, in UTF-8, which nobody here reads. */
export function encodeHistory(
  messages: Buffer,
  hasMore: boolean,
  now: number,
  requestId: string | undefined
): readonly Buffer[] {
  const payload = `{"messages":[${HERE}],"hasMore":${hasMore}}`
  const [head = '', tail = ''] = encode('history_response', payload, now, requestId).split(HERE, 2)
  return [Buffer.from(head), messages, Buffer.from(tail)]
}

/** Where the messages go: JSON has no such character outside of a text, and none in one. */
const HERE = '\n'

export const encodeError = (code: L2psErrorCode, message: string, now: number, requestId: string | undefined) =>
  encode('error', JSON.stringify({ code, message }), now, requestId)
