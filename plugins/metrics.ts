// plugins/metrics.ts: what Prometheus reads. Each server has its own registry; GET /metrics shows it.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { sharedReading } from '../src/limits/shared-reading.ts'
import { type EventLoopMonitor, monitorEventLoop } from '../src/observability/event-loop.ts'
import { readFileDescriptors } from '../src/observability/file-descriptors.ts'
import { createMetrics, type RelayMetrics } from '../src/observability/metrics.ts'
import { type Poller, startPoller } from '../src/observability/poller.ts'
import type { Readiness } from '../src/observability/readiness.ts'
import { VERSION } from '../src/util/package-root.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: RelayMetrics
    eventLoop: EventLoopMonitor
  }
}

/** Rest between two counts of file descriptors, in ms. */
const DESCRIPTORS_REST_MS = 10_000
/** Rest between two polls of the readiness, in ms. */
const READY_REST_MS = 5_000

export default fp(
  async (app) => {
    const metrics = createMetrics()
    app.decorate('metrics', metrics)
    showProcess(metrics)
    showFileDescriptors(app)
    showEventLoop(app)
    showReadiness(app)

    const schema = { summary: 'Prometheus text format', produces: ['text/plain'] }
    const read = sharedReading(() => metrics.text())
    app.get('/metrics', { schema }, async (_request, reply) => {
      reply.header('content-type', metrics.contentType)
      return read()
    })
  },
  { name: 'metrics', fastify: '5.x', dependencies: ['health'] }
)

/**
 * prom-client has a collector for the metrics of a process, but it lists every handle and open file on each scrape:
 * 70 ms of the event loop with 4,000 sockets.
 */
function showProcess(metrics: RelayMetrics): void {
  metrics.buildInfo.at({ version: VERSION }).value = 1
  metrics.startTime.at().value = performance.timeOrigin / 1_000
  metrics.onRead(() => {
    const { user, system } = process.cpuUsage()
    const memory = process.memoryUsage()
    metrics.cpuSeconds.at().value = (user + system) / 1e6
    metrics.residentMemory.at().value = memory.rss
    metrics.heapUsed.at().value = memory.heapUsed
    metrics.heapTotal.at().value = memory.heapTotal
    metrics.externalMemory.at().value = memory.external
  })
}

/** Polled, and listed by the thread pool: with 20,000 sockets a list takes milliseconds. */
function showFileDescriptors(app: FastifyInstance): void {
  const { metrics, log } = app
  const options = { restMs: DESCRIPTORS_REST_MS, log, complaint: 'file descriptors not counted' }
  const poller = startPoller(readFileDescriptors, options)
  app.addHook('onClose', async () => poller.close())
  metrics.onRead(() => {
    const latest = poller.latest()
    metrics.openFds.at().value = latest?.open
    metrics.maxFds.at().value = latest?.max
  })
}

function showEventLoop(app: FastifyInstance): void {
  const { metrics } = app
  const eventLoop = monitorEventLoop()
  app.decorate('eventLoop', eventLoop)
  app.addHook('onClose', async () => eventLoop.close())
  metrics.onRead(() => {
    const { lagP50Ms, lagP99Ms, lagMaxMs, utilization } = eventLoop.read()
    metrics.eventLoopLagP50.at().value = lagP50Ms / 1_000
    metrics.eventLoopLagP99.at().value = lagP99Ms / 1_000
    metrics.eventLoopLagMax.at().value = lagMaxMs / 1_000
    metrics.eventLoopUtilization.at().value = utilization
  })
}

/** Polls from `onReady` on: by then every plugin has added the parts to check. */
function showReadiness(app: FastifyInstance): void {
  const { metrics, readiness, log } = app
  let poller: Poller<Readiness> | undefined
  app.addHook('onReady', async () => {
    const options = { restMs: READY_REST_MS, log, complaint: 'readiness not checked' }
    poller = startPoller(() => readiness.check(), options)
  })
  app.addHook('onClose', async () => poller?.close())
  metrics.onRead(() => {
    const latest = poller?.latest()
    if (latest !== undefined) metrics.ready.at().value = latest.failing.length === 0 ? 1 : 0
  })
}
