import { addressKey } from '../limits/address.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { DEFAULT_HISTORY_LIMIT, encodeHistory, type HistoryFrame } from '../protocol/l2ps.ts'
import { keyFault, type PeerKey, peerKeyOf } from '../protocol/peer-key.ts'
import { type Answer, answer, type Effect } from '../session/effect.ts'
import { conversationId, readHistory, type StoredMessage } from '../store/message.ts'
import { failed, type L2psContext, type RegisteredSession, type Request, refuse } from './context.ts'
import type { L2psMember } from './l2ps-member.ts'
import { refuseProof } from './proof.ts'

type History = PayloadOf<typeof HistoryFrame>

/** Most bytes of sealed bodies on one page: 200 full-sized messages would be 26 MB (docs/protocol.md, 4.4). */
const PAGE_BYTES = 4_000_000

/** A page of the caller's conversation with a peer, newest first, both directions (docs/protocol.md, 4.4). */
export function handleHistory(
  context: L2psContext,
  payload: History,
  session: RegisteredSession,
  request: Request
): Effect {
  const peer = peerKeyOf(payload.peerKey)
  if (peer === undefined) return refuse(context, 'INVALID_MESSAGE', keyFault(payload.peerKey, 'peerKey'), request)
  return history(context, payload, peer, session, request).catch(failed(context, request, 'history not read'))
}

async function history(
  context: L2psContext,
  payload: History,
  peer: PeerKey,
  session: RegisteredSession,
  request: Request
): Promise<Answer> {
  const { member } = session
  const claim = { key: member.key, purpose: 'history', subject: payload.peerKey, proof: payload.proof } as const
  const refusal = await refuseProof(context, claim, session, request)
  if (refusal !== undefined) return refusal
  const limit = payload.limit ?? DEFAULT_HISTORY_LIMIT
  const shown = [payload.proof.toLowerCase(), `${payload.before} ${limit}`] as const
  if (!context.shownProofs.show(...shown)) {
    return refuse(context, 'INVALID_PROOF', 'This proof has opened this page already; sign a new one', request)
  }
  session.pay('query')
  const conversation = conversationId(member.network, member.peer, peer.address)
  const page = { before: payload.before, limit, maxBytes: PAGE_BYTES }
  const { database, historyQueue, shownProofs } = context
  const reading = historyQueue.run(addressKey(session.address), () =>
    database.ask(() => readHistory(database.sql, conversation, page))
  )
  const read = await reading.catch((error: unknown) => {
    shownProofs.takeBack(...shown)
    throw error
  })
  if (read === undefined) {
    shownProofs.takeBack(...shown)
    return refuse(context, 'RATE_LIMITED', 'The server is busy with history. Please try again.', request)
  }
  const { messages, hasMore } = read
  session.pay('history', messages.reduce((sum, { bytes }) => sum + bytes, 0) / 1_024)
  const texts = messages.map((message) => encodeStored(message, member, peer))
  return answer(encodeHistory(texts, hasMore, context.now(), request.requestId))
}

function encodeStored(message: StoredMessage, member: L2psMember, peer: PeerKey): string {
  const isOurs = message.sender === member.peer
  const [from, to] = isOurs ? [member.key.hex, peer.hex] : [peer.hex, member.key.hex]
  const { id, messageHash, sealed, txHash, sentAt } = message
  return (
    `{"id":"${id}","from":"${from}","to":"${to}","messageHash":${JSON.stringify(messageHash)},"encrypted":${sealed},` +
    `"l2psUid":${JSON.stringify(member.network)},"l2psTxHash":${JSON.stringify(txHash)},"timestamp":${sentAt},` +
    `"status":"${statusOf(message)}"}`
  )
}

/**
 * The protocol has one status for two facts (docs/protocol.md, 4.7). What the sender may have to act on comes first:
 * given up, or still waiting; then how far the record of a received message is.
 */
export function statusOf({
  delivery,
  waiting,
  rollup
}: Pick<StoredMessage, 'delivery' | 'waiting' | 'rollup'>): string {
  if (delivery !== 'accepted') return 'failed'
  if (waiting) return 'queued'
  return rollup === 'none' ? 'delivered' : `l2ps_${rollup}`
}
