import { type Static, Type } from '@sinclair/typebox'
import type { SignalingErrorType } from './errors.ts'
import { Digest, defineFrame, Features, type PayloadOf, Text } from './frame.ts'

/** The network every signaling peer is in: the scope that nothing crosses. L2PS uids cannot collide, see the registry. */
export const SIGNALING_NETWORK = 'signaling'

/** Length of an ML-KEM-768 public key in bytes (FIPS 203): what real SDK clients register. */
export const ML_KEM_768_KEY_BYTES = 1184
/** Longest encryption key that may be registered, in bytes. */
export const MAX_ENCRYPTION_KEY_BYTES = 4096

const ClientId = (description: string) => Text(256, description)
/** Present and not one of the falsy values, otherwise any JSON. */
const Truthy = (description: string) =>
  Type.Not(Type.Union([Type.Null(), Type.Literal(''), Type.Literal(0), Type.Literal(false)]), { description })

/** Proof that the owner of a signing key stands behind `publicKey`; all three values are base64 (RFC 4648 §4). */
export const Verification = Type.Object({
  algorithm: Type.String({ maxLength: 32, description: 'ml-dsa, falcon or ed25519' }),
  serializedSignedData: Type.String({
    maxLength: 8192,
    contentEncoding: 'base64',
    description: 'signature over the message'
  }),
  serializedPublicKey: Type.String({ maxLength: 8192, contentEncoding: 'base64', description: 'the signing key' }),
  serializedMessage: Type.String({
    maxLength: 8192,
    contentEncoding: 'base64',
    description: 'the signed message: the bytes of publicKey, or the text of the challenge'
  })
})
export type Verification = Static<typeof Verification>

/**
 * Claim a client id for this socket. Client → server. Answered by `register`, then the backlog, or by `error`:
 * INVALID_MESSAGE, INVALID_PUBLIC_KEY, INVALID_PROOF, CLIENT_ID_TAKEN, CHALLENGE_REQUIRED, CHALLENGE_EXPIRED,
 * INTERNAL_ERROR. Source: docs/protocol.md, 2.1 and 2.9.
 */
export const RegisterFrame = defineFrame('register', 'Invalid message schema', {
  clientId: ClientId('the name to be reached under'),
  publicKey: Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), {
    minItems: 1,
    maxItems: MAX_ENCRYPTION_KEY_BYTES,
    description: 'the encryption key handed out to other peers, as byte values'
  }),
  verification: Verification,
  features: Features
})

/**
 * Ask for something fresh to sign with the next `register`. Client → server, before it. Answered by `challenge`, or by
 * `error`: INVALID_MESSAGE where the server is not known by this origin. Source: docs/protocol.md, 2.9.
 */
export const ChallengeFrame = defineFrame('challenge', 'Missing origin', {
  origin: Text(256, 'where the client is connected to: scheme, host and port of its URL, as wss://relay.example')
})

/** List who is connected, the caller too, in the order of their names. Answered by `discover`. Source: docs/protocol.md, 2.2. */
export const DiscoverFrame = defineFrame('discover', 'Invalid message format', {
  after: Type.Optional(ClientId('only those whose names come after this one')),
  prefix: Type.Optional(ClientId('only those whose names begin so'))
})

/**
 * Pass one sealed message to a peer. Answered by nothing while the peer is connected, by `message_queued` while it is
 * away, or by `error`: INVALID_MESSAGE, REGISTRATION_REQUIRED, INTERNAL_ERROR. Source: docs/protocol.md, 2.3.
 */
export const MessageFrame = defineFrame('message', 'Missing required message fields', {
  targetId: ClientId('the recipient'),
  message: Truthy('the sealed body, relayed unchanged')
})

/** Ask for a peer's encryption key. Answered by `public_key_response`, also for peers that are away, or PEER_NOT_FOUND. */
export const RequestPublicKeyFrame = defineFrame('request_public_key', 'Missing target ID', {
  targetId: ClientId('whose key')
})

/**
 * Ask for the audit records of a message that the caller sent or received. Answered by `record_response`, or by `error`:
 * INVALID_MESSAGE, REGISTRATION_REQUIRED, INTERNAL_ERROR. Source: docs/protocol.md, 2.10.
 */
export const RequestRecordFrame = defineFrame('request_record', 'Missing fromId, targetId or digest', {
  fromId: ClientId('the sender'),
  targetId: ClientId('the recipient'),
  digest: Digest('SHA-256 of the text of the body')
})

/** Ask the server to ask something back; answered by a `server_question` of the same socket. */
export const DebugQuestionFrame = defineFrame('debug_question', 'Invalid message format', {})

/** Word that messages arrived: the one with this `seq` and all before it. Never answered. */
export const AckFrame = defineFrame('ack', 'Missing seq', {
  seq: Type.Integer({ minimum: 1, description: 'of the last message that arrived' })
})

/** The application's answer to a `server_question`. Never answered. */
export const PeerResponseFrame = defineFrame('peer_response', 'Invalid message format', {
  questionId: Type.Optional(Type.Unknown({ description: 'of the question' })),
  response: Type.Optional(Type.Unknown({ description: 'whatever the application answers' }))
})

// What the server sends, encoded. A sealed body is JSON text already and is spliced in, never parsed again.

export const encodeRegistered = (clientId: string) =>
  `{"type":"register","payload":{"success":true,"clientId":${JSON.stringify(clientId)}}}`

export const encodeChallenge = (nonce: string, time: number, seconds: number) =>
  JSON.stringify({ type: 'challenge', payload: { nonce, time, seconds } })

/**
 * `timestamp` (ms): when a queued message was accepted. `seq`: what to acknowledge it by, for clients that offered to;
 * the others never see it.
 */
export const encodeMessage = (
  sealed: string,
  fromId: string,
  extra: { timestamp: number | undefined; seq: number | undefined }
) => {
  const timestamp = extra.timestamp === undefined ? '' : `,"timestamp":${extra.timestamp}`
  const seq = extra.seq === undefined ? '' : `,"seq":${extra.seq}`
  return `{"type":"message","payload":{"message":${sealed},"fromId":${JSON.stringify(fromId)}${timestamp}${seq}}}`
}

export const encodeMessageQueued = (targetId: string) =>
  JSON.stringify({
    type: 'message_queued',
    payload: { targetId, status: 'offline', message: 'Message stored for offline delivery' }
  })

/** `ownerChangedAt` is left out where the id is its first owner's. */
export const encodePublicKey = (peerId: string, publicKey: Uint8Array, ownerChangedAt?: number) => {
  const changed = ownerChangedAt === undefined ? '' : `,"ownerChangedAt":${ownerChangedAt}`
  return `{"type":"public_key_response","payload":{"peerId":${JSON.stringify(peerId)},"publicKey":[${publicKey.join()}]${changed}}}`
}

export const encodeRecords = (question: PayloadOf<typeof RequestRecordFrame>, records: readonly string[]) => {
  const { fromId, targetId, digest } = question
  return JSON.stringify({ type: 'record_response', payload: { fromId, targetId, digest, records } })
}

export const encodePeerDisconnected = (peerId: string) =>
  `{"type":"peer_disconnected","payload":{"peerId":${JSON.stringify(peerId)}}}`

/** `hasMore` is left out where there are no more. */
export const encodeDiscovered = (peers: readonly string[], hasMore: boolean) =>
  JSON.stringify({ type: 'discover', payload: { peers, hasMore: hasMore || undefined } })

export const encodeServerQuestion = (questionId: string, text: string) =>
  JSON.stringify({ type: 'server_question', payload: { questionId, question: { text } } })

/** `details` is all the client shows its caller, so it is never empty (docs/protocol.md, 2.5). */
export const encodeError = (errorType: SignalingErrorType, details: string) =>
  JSON.stringify({ type: 'error', payload: { errorType, details, timestamp: new Date().toISOString() } })
