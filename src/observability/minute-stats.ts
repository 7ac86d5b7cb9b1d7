// What happened since the last minute, out of the totals of the metrics.
import { METRICS } from './metrics/catalogue.ts'
import type { RelayMetrics } from './metrics.ts'

/** The totals that a minute is the difference of. */
export interface Totals {
  readonly accepted: number
  readonly delivered: number
  readonly refused: number
  readonly expired: number
  readonly bytes: number
  readonly rejected: Readonly<Record<string, number>>
  /** How many observations were at most so long: pairs of seconds and a count. */
  readonly accept: readonly Bucket[]
  readonly delivery: readonly Bucket[]
}
export type Bucket = readonly [seconds: number, count: number]

export async function readTotals(metrics: RelayMetrics): Promise<Totals> {
  const { framesRefused, accepted, delivered, expired, frameBytes } = metrics
  const codes = METRICS.framesRefused.labels.code
  const [accept, delivery] = await Promise.all([
    metrics.buckets(METRICS.acceptSeconds.name),
    metrics.buckets(METRICS.deliverySeconds.name)
  ])
  return {
    ...{ accepted: accepted.total(), delivered: delivered.total(), refused: framesRefused.total() },
    ...{ expired: expired.total(), bytes: frameBytes.total(), accept, delivery },
    rejected: Object.fromEntries(codes.map((code) => [code, framesRefused.total({ code })]))
  }
}

/** What happened between two readings. Durations in ms; null: nothing was measured. */
export function difference(before: Totals, after: Totals) {
  const codes = Object.entries(after.rejected).map(([code, count]) => [code, count - (before.rejected[code] ?? 0)])
  const quantile = (which: 'accept' | 'delivery', share: number) => {
    const counts = after[which].map(([seconds, count], at): Bucket => [seconds, count - (before[which][at]?.[1] ?? 0)])
    const seconds = quantileOf(counts, share)
    return seconds === null ? null : seconds * 1_000
  }
  return {
    accepted: after.accepted - before.accepted,
    delivered: after.delivered - before.delivered,
    refused: after.refused - before.refused,
    expired: after.expired - before.expired,
    bytes: after.bytes - before.bytes,
    rejected: Object.fromEntries(codes.filter(([, count]) => Number(count) > 0)) as Record<string, number>,
    ...{ acceptP50: quantile('accept', 0.5), acceptP99: quantile('accept', 0.99) },
    ...{ deliveryP50: quantile('delivery', 0.5), deliveryP99: quantile('delivery', 0.99) }
  }
}

/**
 * A quantile out of cumulative buckets, linear within its bucket, as histogram_quantile() of Prometheus has it: beyond the last
 * bound it is that bound. Null without observations.
 */
export function quantileOf(buckets: readonly Bucket[], share: number): number | null {
  const all = buckets.at(-1)?.[1] ?? 0
  if (all === 0) return null
  const rank = share * all
  const place = buckets.findIndex(([, count]) => count >= rank)
  const [low, below] = place === 0 ? [0, 0] : buckets[place - 1]!
  const [high, count] = buckets[place]!
  if (!Number.isFinite(high)) return low
  return low + ((high - low) * (rank - below)) / Math.max(1e-9, count - below)
}
