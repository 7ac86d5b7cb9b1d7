// plugins/metrics.ts — what Prometheus reads: a registry of this server's own, and GET /metrics.
import fp from 'fastify-plugin'
import { createMetrics, type RelayMetrics } from '../src/metrics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: RelayMetrics
  }
}

export default fp(
  async (app) => {
    const metrics = createMetrics()
    app.decorate('metrics', metrics)
    app.get('/metrics', async (_request, reply) => {
      reply.header('content-type', metrics.registry.contentType)
      return metrics.registry.metrics()
    })
  },
  { name: 'metrics', fastify: '5.x' }
)
