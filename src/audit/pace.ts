// How fast the sequencer works: when it gives way to messages, and how long it rests.
import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'

/** A new round begins within this time, also on a machine whose rounds take long, ms. */
const PERIOD_MS = 900
const SHORTEST_REST_MS = 50
/** The event loop is busy above this share of working time. */
const BUSY_LOOP = 0.5
/** The machine is busy below this share of idle processor time: Postgres then waits for a processor. */
const SPARE_TIME = 0.35

/**
 * Returns a function that tells whether messages keep the machine busy: more than `messages` come in `intervalMs`, and the
 * event loop or the processors have little time left.
 */
export function busyMeter(intervalMs: number, messages: number, countMessages: () => number): () => boolean {
  let last = measure(countMessages())
  let isBusy = false
  return () => {
    const elapsed = performance.now() - last.at
    if (elapsed < intervalMs) return isBusy // too soon to tell
    const now = measure(countMessages())
    const { utilization } = performance.eventLoopUtilization(now.loop, last.loop)
    const spare = (now.idle - last.idle) / Math.max(1, now.total - last.total)
    const isFed = (now.count - last.count) / elapsed > messages / intervalMs
    isBusy = isFed && (utilization > BUSY_LOOP || spare < SPARE_TIME)
    last = now
    return isBusy
  }
}

function measure(count: number) {
  const times = cpus().map((cpu) => cpu.times)
  const idle = times.reduce((sum, each) => sum + each.idle, 0)
  const total = times.reduce((sum, each) => sum + each.user + each.nice + each.sys + each.irq + each.idle, 0)
  return { at: performance.now(), count, idle, total, loop: performance.eventLoopUtilization() }
}

/** Rest after a round that took `tookMs`: the interval, but the next round begins within the period. All in ms. */
export const restAfter = (tookMs: number, intervalMs: number): number =>
  Math.min(intervalMs, Math.max(SHORTEST_REST_MS, PERIOD_MS - tookMs))
