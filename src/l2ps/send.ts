import type { Acceptance } from '../delivery/envelope.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { MAX_CIPHERTEXT_LENGTH, type SendFrame } from '../protocol/l2ps.ts'
import { opaqueFault } from '../protocol/opaque.ts'
import type { Effect } from '../session/effect.ts'
import { type L2psContext, type RegisteredSession, type Request, refuse, reply } from './context.ts'
import { peerKeyOf } from './keys.ts'

type Send = PayloadOf<typeof SendFrame>

/** Hands one sealed message to its recipient's mailbox; what became of it decides the answer (L2PS messaging, 4.3). */
export function handleSend(context: L2psContext, payload: Send, session: RegisteredSession, request: Request): Effect {
  const no = (detail: string) => refuse(context, 'INVALID_MESSAGE', detail, request)
  const { encrypted, messageHash } = payload
  if (encrypted.ciphertext.length > MAX_CIPHERTEXT_LENGTH) {
    return no(`Ciphertext too large (max ${MAX_CIPHERTEXT_LENGTH} bytes)`)
  }
  const recipient = peerKeyOf(payload.to)
  if (recipient === undefined) return no('Invalid to format (expected hex)')
  if (recipient.address === session.member.peer) return no('Cannot send message to yourself')
  const fault = opaqueFault(encrypted)
  if (fault !== undefined) return no(`encrypted: ${fault}`)
  const sealed = JSON.stringify(encrypted)
  return {
    kind: 'accept',
    envelope: {
      network: session.member.network,
      sender: session.member.peer,
      recipient: recipient.address,
      digest: messageHash,
      sealed,
      bytes: Buffer.byteLength(sealed),
      keyId: null
    },
    answer: (acceptance) => answerTo(context, acceptance, messageHash, request)
  }
}

function answerTo(context: L2psContext, acceptance: Acceptance, messageHash: string, request: Request): Effect {
  switch (acceptance) {
    case 'live':
      return reply(context, request, 'message_sent', { messageHash, l2psStatus: 'submitted' })
    case 'queued':
      return reply(context, request, 'message_queued', { messageHash, status: 'queued' })
    case 'duplicate':
      return refuse(context, 'L2PS_SUBMIT_FAILED', 'Duplicate message', request)
    case 'quota':
      return refuse(context, 'RATE_LIMITED', 'Offline message limit reached', request)
    case 'recipient-full':
      return refuse(context, 'RATE_LIMITED', 'Too many messages are waiting for this recipient', request)
    case 'busy':
      return refuse(context, 'RATE_LIMITED', 'The server is busy. Please try again.', request)
    case 'unavailable':
      return refuse(context, 'INTERNAL_ERROR', 'The message could not be stored. Please try again.', request)
  }
}
