// A process that does nothing: how late its event loop is, is how late the machine is.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { answerParent } from './parent.ts'

const RESOLUTION_MS = 20

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()

answerParent({
  /** p99 since it was asked last, in ms. */
  lag: async () => {
    const ms = Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS)
    delay.reset()
    return ms
  }
})
