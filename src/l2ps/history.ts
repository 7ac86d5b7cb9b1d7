import { addressKey } from '../limits/address.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { DEFAULT_HISTORY_LIMIT, encodeHistory, type HistoryFrame } from '../protocol/l2ps.ts'
import { keyFault, type PeerKey, peerKeyOf } from '../protocol/peer-key.ts'
import { type Answer, answer, type Effect } from '../session/effect.ts'
import { encodeTextFrame } from '../session/text-frames.ts'
import { conversationId, readHistory } from '../store/message.ts'
import { failed, type L2psContext, type RegisteredSession, type Request, refuse } from './context.ts'
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
  const conversation = {
    id: conversationId(member.network, member.peer, peer.address),
    network: member.network,
    reader: member.peer,
    readerKey: member.key.hex,
    otherKey: peer.hex
  }
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
  session.pay('history', read.bytes / 1_024)
  return answer(encodeTextFrame(encodeHistory(read.messages, read.hasMore, context.now(), request.requestId)))
}
