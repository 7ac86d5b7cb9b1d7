// plugins/metrics.ts — what Prometheus reads: a registry of this server's own, and GET /metrics.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type EventLoopWatch, watchEventLoop } from '../src/observability/event-loop.ts'
import { measureProcess } from '../src/observability/metrics/process.ts'
import { createMetrics, type RelayMetrics } from '../src/observability/metrics.ts'
import { type Watch, watchInBackground } from '../src/observability/poller.ts'
import type { Readiness } from '../src/observability/readiness.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: RelayMetrics
    eventLoop: EventLoopWatch
  }
}

/** Rest between two looks whether the server is ready, in ms. */
const READY_REST_MS = 5_000

export default fp(
  async (app) => {
    const metrics = createMetrics()
    app.decorate('metrics', metrics)
    measureProcess(metrics)
    showEventLoop(app)
    showReadiness(app)

    const schema = { summary: 'Prometheus text format', produces: ['text/plain'] }
    app.get('/metrics', { schema }, async (_request, reply) => {
      reply.header('content-type', metrics.contentType)
      return metrics.text()
    })
  },
  { name: 'metrics', fastify: '5.x', dependencies: ['health'] }
)

function showEventLoop(app: FastifyInstance): void {
  const { metrics } = app
  const eventLoop = watchEventLoop()
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

/** Begins once every plugin has added the parts to check. */
function showReadiness(app: FastifyInstance): void {
  const { metrics, readiness, log } = app
  let watch: Watch<Readiness> | undefined
  app.addHook('onReady', async () => {
    watch = watchInBackground(() => readiness.look(), {
      ...{ restMs: READY_REST_MS, log, complaint: 'readiness not looked at' }
    })
  })
  app.addHook('onClose', async () => watch?.close())
  metrics.onRead(() => {
    const latest = watch?.latest()
    if (latest !== undefined) metrics.ready.at().value = latest.failing.length === 0 ? 1 : 0
  })
}
