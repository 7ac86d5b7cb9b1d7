import { monitorEventLoopDelay, performance } from 'node:perf_hooks'

/** How late the event loop was, over the last whole window. */
export interface EventLoopStats {
  readonly lagP50Ms: number
  readonly lagP99Ms: number
  readonly lagMaxMs: number
  /** Share of the time at work, 0 to 1. */
  readonly utilization: number
}

export interface EventLoopMonitor {
  read(): EventLoopStats
  close(): void
}

const RESOLUTION_MS = 20
const WINDOW_MS = 10_000

/** Measures the event loop of this process until `close`. */
export function monitorEventLoop(): EventLoopMonitor {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  let started = performance.eventLoopUtilization()
  let last: EventLoopStats | undefined
  const lagMs = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS) // it measures the pause between two timers
  const stats = (): EventLoopStats => ({
    lagP50Ms: lagMs(delay.percentile(50)),
    lagP99Ms: lagMs(delay.percentile(99)),
    lagMaxMs: delay.count === 0 ? 0 : lagMs(delay.max),
    utilization: performance.eventLoopUtilization(started).utilization
  })
  const timer = setInterval(() => {
    last = stats()
    delay.reset()
    started = performance.eventLoopUtilization()
  }, WINDOW_MS).unref()
  return {
    read: () => last ?? stats(),
    close: () => {
      clearInterval(timer)
      delay.disable()
    }
  }
}
