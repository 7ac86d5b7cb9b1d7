// plugins/admin: the administration REST API. Everything below /admin, for clients that send the token.
import bearerAuth from '@fastify/bearer-auth'
import rateLimit from '@fastify/rate-limit'
import type { TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { DatabaseUnavailable } from '../../src/database/database.ts'
import { PROBLEM_TYPE, type ProblemName } from '../../src/protocol/problems.ts'
import { identityRoutes } from './identities.ts'
import { memberRoutes } from './members.ts'
import { networkRoutes } from './networks.ts'
import { peerRoutes } from './peers.ts'
import { ProblemError, problemBody, sendProblem } from './problems.ts'
import { queueRoutes } from './queues.ts'
import { checkerFor } from './requests.ts'
import { type StatsContext, statsRoutes } from './stats.ts'

export interface AdminOptions {
  /** Requests one address may make in a minute. */
  readonly requestsPerMinute: number
  /** Lifetime of a message that is queued again, in ms. */
  readonly ttlMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const MINUTE_MS = 60_000
/** Addresses whose requests are counted; the least recently seen is dropped first. */
const ADDRESSES = 10_000
const MAX_BODY_BYTES = 65_536

export default fp<AdminOptions>(
  async (app, options) => {
    const context = contextOf(app, options)
    await app.register(
      async (admin) => {
        admin.setValidatorCompiler<TSchema>(({ schema, httpPart }) => checkerFor(schema, httpPart as 'body'))
        admin.setErrorHandler(answerError)
        await limitRequests(admin, options.requestsPerMinute)
        await askForToken(admin)
        admin.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'))
        admin.addHook('onResponse', logChange)
        admin.removeContentTypeParser('text/plain') // Fastify's own: JSON is all there is
        admin.addHook('onRoute', (route) => {
          route.bodyLimit = MAX_BODY_BYTES
        })
        // A stranger is not even told which paths below /admin exist: the hooks above come first.
        admin.setNotFoundHandler((request, reply) => sendProblem(reply, request, 'not-found', 'no such route'))
        for (const routes of [statsRoutes, queueRoutes, peerRoutes, identityRoutes]) routes(admin, context)
        if (context.networks !== undefined) {
          for (const routes of [networkRoutes, memberRoutes]) routes(admin, { ...context, networks: context.networks })
        }
      },
      { prefix: '/admin' }
    )
  },
  { name: 'admin', fastify: '5.x', encapsulate: true, dependencies: ['admin-token', 'identities', 'offline-queue'] }
)

function contextOf(app: FastifyInstance, { ttlMs, now }: AdminOptions): StatsContext {
  const { database, presence, sessions, mailboxes, identities, nameMutex, metrics, queueStats } = app
  return {
    ...{ database, presence, sessions, mailboxes, identities, nameMutex, metrics, queueStats, ttlMs, now },
    networks: app.hasDecorator('networks') ? app.networks : undefined,
    eventLoop: app.eventLoop.read,
    startedAt: now()
  }
}

/** Comes before the token is checked, so that guessing tokens is limited too. */
async function limitRequests(admin: FastifyInstance, max: number): Promise<void> {
  await admin.register(rateLimit, { global: false, max, timeWindow: MINUTE_MS, cache: ADDRESSES })
  const take = admin.createRateLimit()
  admin.addHook('onRequest', async (request, reply) => {
    const verdict = await take(request)
    if (verdict.isAllowed || !verdict.isExceeded) return
    reply.header('retry-after', verdict.ttlInSeconds)
    return sendProblem(reply, request, 'too-many-requests')
  })
}

async function askForToken(admin: FastifyInstance): Promise<void> {
  admin.addHook('onSend', async (_request, reply) => {
    if (reply.statusCode === 401) reply.header('www-authenticate', 'Bearer')
  })
  await admin.register(bearerAuth, {
    keys: [],
    auth: (_token, request) => admin.adminToken.isShown(request),
    specCompliance: 'rfc6749', // as for the audit trail, the scheme's letter case does not matter (RFC 9110 §11.1)
    errorResponse: () => problemBody('unauthorized') as never,
    contentType: PROBLEM_TYPE,
    verifyErrorLogLevel: 'debug'
  })
}

/** The problems that Fastify itself finds in a request, by status. */
const REFUSALS: ReadonlyMap<number | undefined, ProblemName> = new Map([
  [400, 'invalid-request'],
  [413, 'too-large'],
  [415, 'not-json']
])

function answerError(error: Error & { statusCode?: number }, request: FastifyRequest, reply: FastifyReply) {
  if (error instanceof ProblemError && error.problem === 'too-many-requests') reply.header('retry-after', '1')
  if (error instanceof ProblemError) return sendProblem(reply, request, error.problem, error.message, error.field)
  if (error instanceof DatabaseUnavailable) {
    return sendProblem(reply.header('retry-after', '5'), request, 'database-unavailable')
  }
  const refusal = REFUSALS.get(error.statusCode)
  if (refusal !== undefined) return sendProblem(reply, request, refusal, error.message)
  request.log.error({ err: error }, 'administration request failed')
  return sendProblem(reply, request, 'internal-error')
}

async function logChange(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { method, ip: address, routeOptions, query } = request
  const isRead = method === 'GET' || method === 'HEAD' || (query as { dryRun?: boolean }).dryRun === true
  if (isRead || reply.statusCode >= 400) return
  request.log.info({ method, route: routeOptions.url, address }, 'administration: changed')
}
