// Rates out of totals: what two answers of /admin/stats differ by.

/** How far back is drawn, in ms. */
export const SPAN_MS = 300_000
/** Two answers further apart leave a gap: nobody looked in between. */
const GAP_MS = 10_000

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/stats.ts').StatsAnswer>} Stats */
/**
 * Messages a second, and how late the event loop was. `null`: a gap.
 * @typedef {{ time: number, accepted: number | null, delivered: number | null, lag: number | null }} Sample
 */

/** @param {Stats} stats */
export function totals({ protocols }) {
  const both = [protocols.signaling, protocols.l2ps]
  const sum = (/** @type {(one: Stats['protocols']['l2ps']) => number} */ of) =>
    both.reduce((all, one) => all + of(one), 0)
  const receipts = {
    ack: sum(({ deliveredTotal }) => deliveredTotal.ack),
    pong: sum(({ deliveredTotal }) => deliveredTotal.pong),
    none: sum(({ deliveredTotal }) => deliveredTotal.none)
  }
  return {
    accepted: sum(({ acceptedTotal }) => acceptedTotal),
    delivered: receipts.ack + receipts.pong + receipts.none,
    receipts
  }
}

/** Samples of the last minutes, oldest first. A restart of the server, or a rest of this page, leaves a gap. */
export function rateHistory() {
  /** @type {Sample[]} */
  const samples = []
  /** @type {{ time: number, startedAt: string, accepted: number, delivered: number } | undefined} */
  let last
  return {
    samples,
    /**
     * @param {Stats} stats
     * @param {number} time of the answer, ms since 1970
     */
    add(stats, time) {
      const now = { ...totals(stats), time, startedAt: stats.startedAt }
      const isNext = last !== undefined && last.startedAt === now.startedAt && time - last.time < GAP_MS
      if (last !== undefined && isNext && time > last.time) {
        const seconds = (time - last.time) / 1_000
        samples.push({
          time,
          accepted: Math.max(0, now.accepted - last.accepted) / seconds,
          delivered: Math.max(0, now.delivered - last.delivered) / seconds,
          lag: stats.eventLoop.lagP99Ms
        })
      } else if (samples.length > 0) {
        samples.push({ time, accepted: null, delivered: null, lag: null })
      }
      while (samples[0] !== undefined && samples[0].time < time - SPAN_MS) samples.shift()
      last = now
    }
  }
}
