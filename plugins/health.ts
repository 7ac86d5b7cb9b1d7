// plugins/health.ts: tells orchestrators whether the process lives and whether it can serve.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createReadinessBoard, type ReadinessBoard } from '../src/observability/readiness.ts'
import { VERSION } from '../src/util/package-root.ts'

export const HealthOptions = Type.Object({
  checkDeadlineMs: Type.Optional(
    Type.Integer({ minimum: 1, default: 800, description: 'Longest one check may take.' })
  ),
  resultSharedMs: Type.Optional(
    Type.Integer({ minimum: 0, default: 250, description: 'How long one result answers further probes.' })
  )
})
export type HealthOptions = Static<typeof HealthOptions> & {
  /** Who is told more than the status; default: everybody. */
  readonly mayTell?: (request: FastifyRequest) => boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    readiness: ReadinessBoard
  }
}

const LiveAnswer = Type.Object(
  { status: Type.Literal('ok'), uptimeSeconds: Type.Integer(), version: Type.String() },
  { description: 'The process runs and answers.' }
)

const Parts = Type.Record(Type.String(), Type.Union([Type.Literal('ok'), Type.Literal('failing')]), {
  description: 'Every part that was checked.'
})
const Listeners = Type.Record(Type.String(), Type.String(), { description: 'Where each listener listens.' })
const Details = Type.Record(Type.String(), Type.Unknown(), {
  description: 'Facts for the operator about a part, ready or not: for example, network configurations with faults.'
})

const ForOperators = {
  parts: Type.Optional(Parts),
  doors: Type.Optional(Listeners),
  details: Type.Optional(Details)
}

export const ReadyAnswer = Type.Object(
  { status: Type.Literal('ok'), ...ForOperators },
  { description: 'Every part is fine. With ADMIN_PORT, only its listener tells more than the status.' }
)

export const UnavailableAnswer = Type.Object(
  {
    status: Type.Literal('unavailable'),
    failing: Type.Optional(Type.Array(Type.Object({ part: Type.String(), reason: Type.String() }))),
    ...ForOperators
  },
  { description: 'The server cannot serve now; each failing part says why. Ask again later.' }
)

/** Registered before the plugins that add a part to check with `app.readiness.addCheck`. */
export default fp<HealthOptions>(
  async (app, { checkDeadlineMs = 800, resultSharedMs = 250, mayTell = () => true }) => {
    const readiness = createReadinessBoard({
      deadlineMs: checkDeadlineMs,
      sharedMs: resultSharedMs,
      onThrow: (part, err) => app.log.warn({ part, err }, 'readiness check failed')
    })
    app.decorate('readiness', readiness)
    app.addHook('preClose', async () => readiness.stopping())

    const quiet = { logLevel: 'warn' } as const // probes come every few seconds
    app.get(
      '/health/live',
      { ...quiet, schema: { summary: 'Does the process answer?', response: { 200: LiveAnswer } } },
      async (_request, reply) => {
        const answer: Static<typeof LiveAnswer> = {
          status: 'ok',
          uptimeSeconds: Math.floor(performance.now() / 1_000),
          version: VERSION
        }
        return reply.header('cache-control', 'no-store').send(answer)
      }
    )

    const response = { 200: ReadyAnswer, 503: UnavailableAnswer }
    app.get('/health/ready', { ...quiet, schema: { summary: 'Can it serve?', response } }, async (request, reply) => {
      const { failing, parts } = await readiness.check()
      const isTold = mayTell(request)
      const told = isTold ? { parts, doors: readiness.listeners(), details: readiness.details() } : {}
      reply.header('cache-control', 'no-store')
      if (failing.length === 0) return reply.send({ status: 'ok', ...told } satisfies Static<typeof ReadyAnswer>)
      const answer: Static<typeof UnavailableAnswer> = {
        status: 'unavailable',
        ...(isTold ? { failing } : {}),
        ...told
      }
      return reply.code(503).send(answer)
    })
  },
  { name: 'health', fastify: '5.x' }
)
