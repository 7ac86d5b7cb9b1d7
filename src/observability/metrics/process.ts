import { VERSION } from '../../util/version.ts'
import type { RelayMetrics } from '../metrics.ts'

/**
 * What every process shows. prom-client has a collector for it, which lists every handle and open file on each scrape:
 * 70 ms of the event loop with 4,000 sockets.
 */
export function measureProcess(metrics: RelayMetrics): void {
  metrics.buildInfo.at({ version: VERSION }).value = 1
  metrics.startTime.at().value = performance.timeOrigin / 1_000
  const { cpuSeconds, residentMemory, heapUsed, heapTotal, externalMemory } = metrics
  metrics.onRead(() => {
    const { user, system } = process.cpuUsage()
    const memory = process.memoryUsage()
    cpuSeconds.at().value = (user + system) / 1e6
    residentMemory.at().value = memory.rss
    heapUsed.at().value = memory.heapUsed
    heapTotal.at().value = memory.heapTotal
    externalMemory.at().value = memory.external
  })
}
