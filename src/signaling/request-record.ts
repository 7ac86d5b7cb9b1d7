import type { PayloadOf } from '../protocol/frame.ts'
import { encodeRecords, type RequestRecordFrame, SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { type Answer, answer, type Effect } from '../session/effect.ts'
import { type RegisteredSession, refuse, type SignalingContext } from './context.ts'

/**
 * The hashes of a message's audit records, for its sender and its recipient alone: whoever has the hash reads the record,
 * and a stranger could guess what was sent by whom to whom (docs/protocol.md, 2.10).
 */
export function handleRequestRecord(
  { recordsOf, log }: Pick<SignalingContext, 'recordsOf' | 'log'>,
  question: PayloadOf<typeof RequestRecordFrame>,
  session: Pick<RegisteredSession, 'member' | 'pay'>
): Effect {
  const { fromId: sender, targetId: recipient, digest } = question
  const { peer } = session.member
  if (peer !== sender && peer !== recipient) {
    return refuse('INVALID_MESSAGE', 'The record of a message is told to its sender and its recipient alone')
  }
  session.pay('query')
  return recordsOf(SIGNALING_NETWORK, { sender, recipient, digest }).then(
    (records): Answer => answer(encodeRecords(question, records)),
    (error: unknown) => {
      log.error({ err: error }, 'audit record not looked up')
      return refuse('INTERNAL_ERROR', 'Failed to look up the record. Please try again.')
    }
  )
}
