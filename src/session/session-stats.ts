import type { Session } from './session.ts'

/** The sessions of one protocol, summed up. */
export interface SessionFigures {
  sockets: number
  /** Those that speak for a peer. */
  registered: number
  /** What they were sent and have not receipted. */
  windowMessages: number
  windowBytes: number
  /** Longest that one for which something waits has received nothing, ms. */
  stalledMs: number
}

/** One pass over every open session, in memory: some 0.25 µs each. */
export function sumUpSessions(sessions: Iterable<Session>): Record<Session['protocol']['name'], SessionFigures> {
  const figures = { signaling: none(), l2ps: none() }
  const now = performance.now()
  for (const { protocol, member, isOpen } of sessions) {
    const sum = figures[protocol.name]
    sum.sockets += 1
    if (member === undefined || !isOpen) continue
    const { delivery } = member.receipts
    const { messages, bytes } = delivery.unreceipted
    sum.registered += 1
    sum.windowMessages += messages
    sum.windowBytes += bytes
    sum.stalledMs = Math.max(sum.stalledMs, now - (delivery.stalledSince ?? now))
  }
  return figures
}

const none = (): SessionFigures => ({ sockets: 0, registered: 0, windowMessages: 0, windowBytes: 0, stalledMs: 0 })
