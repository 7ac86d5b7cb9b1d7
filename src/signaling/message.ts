import { isBase64 } from '../crypto/base64.ts'
import type { Acceptance } from '../delivery/envelope.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { opaqueFault } from '../protocol/opaque.ts'
import {
  encodeMessageQueued,
  type MessageFrame,
  ML_KEM_768_KEY_BYTES,
  SIGNALING_NETWORK
} from '../protocol/signaling.ts'
import { answer, type Effect, silence } from '../session/effect.ts'
import type { Identity } from '../store/identity.ts'
import { type RegisteredSession, refuse, type SignalingContext } from './context.ts'

type Message = PayloadOf<typeof MessageFrame>

/** Hands one sealed message to its recipient's mailbox; what became of it decides the answer (signaling protocol 2.3). */
export function handleMessage(context: SignalingContext, payload: Message, session: RegisteredSession): Effect {
  const known = context.identities.peek(SIGNALING_NETWORK, payload.targetId)
  if (known !== undefined) return send(context, payload, session, known.identity)
  const found = context.identities.get(SIGNALING_NETWORK, payload.targetId)
  return {
    kind: 'wait',
    until: found.then((identity) => send(context, payload, session, identity), unavailable(context))
  }
}

function send(
  context: SignalingContext,
  payload: Message,
  session: RegisteredSession,
  recipient: Identity | undefined
): Effect {
  const fault = opaqueFault(payload.message)
  if (fault !== undefined) return refuse('INVALID_MESSAGE', `message: ${fault}`)
  if (recipient?.encryptionKey.length === ML_KEM_768_KEY_BYTES && !isEncryptedObject(payload.message)) {
    return refuse('INVALID_MESSAGE', 'message must be an ml-kem-aes object with base64 data for this recipient')
  }
  const sealed = JSON.stringify(payload.message)
  return {
    kind: 'accept',
    envelope: {
      network: SIGNALING_NETWORK,
      sender: session.member.peer,
      recipient: payload.targetId,
      digest: null,
      sealed,
      bytes: Buffer.byteLength(sealed),
      keyId: recipient?.keyId ?? null
    },
    answer: (acceptance) => answerTo(acceptance, payload.targetId, context.quotaPerSender)
  }
}

function answerTo(acceptance: Acceptance, targetId: string, quota: number): Effect {
  switch (acceptance) {
    case 'live':
      return silence
    case 'queued':
      return answer(encodeMessageQueued(targetId))
    case 'quota':
      return refuse(
        'INTERNAL_ERROR',
        `Offline message limit reached (${quota} messages). Please wait for recipient to come online.`
      )
    case 'recipient-full':
      return refuse('INTERNAL_ERROR', 'Too many messages are waiting for this recipient. Please try again later.')
    case 'busy':
      return refuse('INTERNAL_ERROR', 'The server is busy. Please try again.')
    default:
      return refuse('INTERNAL_ERROR', 'Failed to store message. Please try again.')
  }
}

/**
 * Is it what the official client can open: an object of this algorithm with two base64 texts? Anything else ends that
 * client's process (signaling protocol 3.5), so it is not passed on to a peer that registered an ML-KEM-768 key.
 */
export function isEncryptedObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { algorithm, serializedEncryptedData, serializedCipherText } = value as Record<string, unknown>
  return algorithm === 'ml-kem-aes' && isSealedText(serializedEncryptedData) && isSealedText(serializedCipherText)
}

const isSealedText = (value: unknown) => typeof value === 'string' && isBase64(value)

const unavailable = (context: SignalingContext) => (error: unknown) => {
  context.log.error({ err: error }, 'recipient not looked up')
  return refuse('INTERNAL_ERROR', 'Failed to store message. Please try again.')
}
