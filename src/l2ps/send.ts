import type { Acceptance } from '../delivery/mailbox.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { MAX_CIPHERTEXT_LENGTH, type SendFrame } from '../protocol/l2ps.ts'
import { opaqueFault } from '../protocol/opaque.ts'
import { keyFault, peerKeyOf } from '../protocol/peer-key.ts'
import { sourceText } from '../protocol/source-text.ts'
import { type Answer, type Effect, later } from '../session/effect.ts'
import { type L2psContext, type RegisteredSession, type Request, refuse, reply } from './context.ts'

/** Hands one sealed message to its recipient's mailbox; what became of it decides the answer (docs/protocol.md, 4.3). */
export function handleSend(
  context: Pick<L2psContext, 'mailbox' | 'names' | 'now'>,
  { to, encrypted, messageHash }: PayloadOf<typeof SendFrame>,
  session: RegisteredSession,
  request: Request
): Effect {
  const no = (detail: string) => refuse(context, 'INVALID_MESSAGE', detail, request)
  if (encrypted.ciphertext.length > MAX_CIPHERTEXT_LENGTH) {
    return no(`Ciphertext too large (max ${MAX_CIPHERTEXT_LENGTH} bytes)`)
  }
  const recipient = peerKeyOf(to)
  if (recipient === undefined) return no(keyFault(to, 'to'))
  const { member } = session
  if (recipient.address === member.peer) return no('Cannot send message to yourself')
  const fault = opaqueFault(encrypted)
  if (fault !== undefined) return no(`encrypted: ${fault}`)
  context.names.remember(member.key) // its recipients are told the key, also when it has left by then
  const sealed = sourceText(request.text, 'payload', 'encrypted')!
  const message = {
    network: member.network,
    sender: member.peer,
    recipient: recipient.address,
    digest: messageHash,
    sealed,
    bytes: Buffer.byteLength(sealed),
    keyId: null
  }
  session.pay('stored', message.bytes / 1_024)
  return later((done) =>
    context.mailbox.accept(message, (acceptance) => done(answerTo(context, acceptance, messageHash, request)))
  )
}

function answerTo(
  context: Pick<L2psContext, 'now'>,
  acceptance: Acceptance,
  messageHash: string,
  request: Request
): Answer {
  switch (acceptance) {
    case 'live':
      return reply(context, request, 'message_sent', { messageHash, l2psStatus: 'submitted' })
    case 'queued':
      return reply(context, request, 'message_queued', { messageHash, status: 'queued' })
    case 'duplicate':
      return refuse(context, 'L2PS_SUBMIT_FAILED', 'Duplicate message', request)
    case 'quota':
      return refuse(context, 'RATE_LIMITED', 'Offline message limit reached', request)
    case 'recipient_full':
      return refuse(context, 'RATE_LIMITED', 'Too many messages are waiting for this recipient', request)
    case 'daily_bytes':
      return refuse(context, 'RATE_LIMITED', 'This sender has stored too much in the last 24 hours', request)
    case 'busy':
      return refuse(context, 'RATE_LIMITED', 'The server is busy. Please try again.', request)
    case 'unavailable':
      return refuse(context, 'INTERNAL_ERROR', 'The message could not be stored. Please try again.', request)
  }
}
