import type { Acceptance } from '../delivery/mailbox.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { opaqueFault } from '../protocol/opaque.ts'
import {
  encodeMessageQueued,
  type MessageFrame,
  ML_KEM_768_KEY_BYTES,
  SIGNALING_NETWORK
} from '../protocol/signaling.ts'
import { sourceText } from '../protocol/source-text.ts'
import { type Answer, type Effect, type Later, later, silence } from '../session/effect.ts'
import type { Identity } from '../store/identity.ts'
import { isBase64 } from '../util/encoding.ts'
import { type RegisteredSession, refuse, type SignalingContext } from './context.ts'

type Payload = PayloadOf<typeof MessageFrame>

/** Length of an ML-KEM-768 ciphertext in bytes (FIPS 203). */
const ML_KEM_768_CIPHERTEXT_BYTES = 1_088
/** Shortest AES-256-GCM text in bytes: 12 of initialization vector, 16 of tag. */
const LEAST_SEALED_BYTES = 28

/** Hands one sealed message to its recipient's mailbox; what became of it decides the answer (docs/protocol.md, 2.3). */
export function handleMessage(
  context: SignalingContext,
  payload: Payload,
  session: RegisteredSession,
  frameText: string
): Effect {
  const known = context.identities.peek(SIGNALING_NETWORK, payload.targetId)
  if (known !== undefined) return send(context, payload, session, frameText, known.identity)
  session.pay('query')
  const since = performance.now()
  return context.identities.get(SIGNALING_NETWORK, payload.targetId).then(
    (identity) => send(context, payload, session, frameText, identity, since),
    (error: unknown) => {
      context.log.error({ err: error }, 'recipient not looked up')
      return notice('Failed to store message. Please try again.')
    }
  )
}

function send(
  context: SignalingContext,
  payload: Payload,
  session: RegisteredSession,
  frameText: string,
  recipient: Identity | undefined,
  since?: number
): Answer | Later {
  const fault = opaqueFault(payload.message)
  if (fault !== undefined) return invalid(`message: ${fault}`)
  if (recipient?.encryptionKey.length === ML_KEM_768_KEY_BYTES) {
    const unreadable = sealedFault(payload.message)
    if (unreadable !== undefined) return invalid(unreadable)
  }
  const sealed = sourceText(frameText, 'payload', 'message')!
  const message = {
    network: SIGNALING_NETWORK,
    sender: session.member.peer,
    recipient: payload.targetId,
    digest: null,
    sealed,
    bytes: Buffer.byteLength(sealed),
    keyId: recipient?.keyId ?? null
  }
  session.pay('stored', message.bytes / 1_024)
  const { mailbox, quotaPerSender } = context
  return later((done) =>
    mailbox.accept(message, (acceptance) => done(answerTo(acceptance, payload.targetId, quotaPerSender)), since)
  )
}

function answerTo(acceptance: Acceptance, targetId: string, quota: number): Answer {
  switch (acceptance) {
    case 'live':
      return silence
    case 'queued':
      return { frame: encodeMessageQueued(targetId), isNotification: true }
    case 'quota':
      return notice(`Offline message limit reached (${quota} messages). Please wait for recipient to come online.`)
    case 'recipient_full':
      return notice('Too many messages are waiting for this recipient. Please try again later.')
    case 'daily_bytes':
      return notice('This sender has stored too much in the last 24 hours. Please send less, or later.')
    case 'busy':
      return notice('The server is busy. Please try again.')
    default:
      return notice('Failed to store message. Please try again.')
  }
}

// The sender of a message does not wait for an answer, so what is said of it is a notification.
const notice = (details: string): Answer => ({ ...refuse('INTERNAL_ERROR', details), isNotification: true })
const invalid = (details: string): Answer => ({ ...refuse('INVALID_MESSAGE', details), isNotification: true })

/**
 * Why the official client could not open this body, or undefined when it could: an object of its algorithm with two base64
 * texts of possible lengths. Anything else ends that client's process (docs/protocol.md, 3.5), so it is not passed on to a
 * peer that registered an ML-KEM-768 key.
 */
export function sealedFault(value: unknown): string | undefined {
  const body = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const { algorithm, serializedEncryptedData: data, serializedCipherText: key } = body
  if (
    algorithm !== 'ml-kem-aes' ||
    typeof data !== 'string' ||
    typeof key !== 'string' ||
    !isBase64(data) ||
    !isBase64(key)
  ) {
    return 'message must be an ml-kem-aes object with base64 data for this recipient'
  }
  if (base64Bytes(key) !== ML_KEM_768_CIPHERTEXT_BYTES) {
    return `message: serializedCipherText must have ${ML_KEM_768_CIPHERTEXT_BYTES} bytes for this recipient`
  }
  if (base64Bytes(data) < LEAST_SEALED_BYTES) {
    return `message: serializedEncryptedData must have at least ${LEAST_SEALED_BYTES} bytes for this recipient`
  }
  return undefined
}

/** How many bytes a base64 text holds; white space and padding count for nothing. */
function base64Bytes(text: string): number {
  const digits = /[\s=]/.test(text) ? text.replace(/[\s=]/g, '').length : text.length
  return Math.floor((digits * 3) / 4)
}
