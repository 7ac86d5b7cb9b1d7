import type { FastifyInstance } from 'fastify'
import { readStats, StatsAnswer, type StatsContext } from './api/stats.ts'
import { described, problems, typed } from './typed.ts'

export function statsRoutes(app: FastifyInstance, context: StatsContext): void {
  const schema = {
    ...described(
      'stats',
      'How the server is doing',
      'Cheap. Figures of the queues may be some seconds old, see `asOf`.'
    ),
    response: { 200: StatsAnswer, ...problems }
  }
  typed(app).get('/stats', { schema }, () => readStats(context))
}
