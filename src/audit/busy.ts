import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'

/** Above this share of the time at work, the event loop has messages to see to first. */
const BUSY_LOOP = 0.5
/** Below this share of idle time, what Postgres and others do waits for a processor. */
const SPARE_TIME = 0.35

/** Tells whether messages keep the machine busy: more than `messages` come in `intervalMs`, and little time is left. */
export function busyMeter(intervalMs: number, messages: number, countMessages: () => number): () => boolean {
  let last = look(countMessages())
  let isBusy = false
  return () => {
    const elapsed = performance.now() - last.at
    if (elapsed < intervalMs) return isBusy // too soon to tell
    const now = look(countMessages())
    const { utilization } = performance.eventLoopUtilization(now.loop, last.loop)
    const spare = (now.idle - last.idle) / Math.max(1, now.total - last.total)
    const isFed = (now.count - last.count) / elapsed > messages / intervalMs
    isBusy = isFed && (utilization > BUSY_LOOP || spare < SPARE_TIME)
    last = now
    return isBusy
  }
}

function look(count: number) {
  const times = cpus().map((cpu) => cpu.times)
  const idle = times.reduce((sum, each) => sum + each.idle, 0)
  const total = times.reduce((sum, each) => sum + each.user + each.nice + each.sys + each.irq + each.idle, 0)
  return { at: performance.now(), count, idle, total, loop: performance.eventLoopUtilization() }
}
