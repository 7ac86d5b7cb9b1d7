import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { answerParent } from './parent.ts'

/** As the server is watched. */
const LAG_RESOLUTION_MS = 10

/** Has this process be a relay to compare with: it listens when it is told to, once it is prepared, and says how it fares. */
export function serveRelay(server: Server, prepare: () => Promise<unknown> = async () => {}): void {
  const delay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
  delay.enable()
  answerParent({
    lag: async () => {
      const ms = Math.max(0, delay.percentile(99) / 1e6 - LAG_RESOLUTION_MS)
      delay.reset()
      return ms
    },
    start: async () => {
      await prepare()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return { port: (server.address() as AddressInfo).port }
    },
    memory: async () => {
      globalThis.gc?.()
      return process.memoryUsage()
    }
  })
}
