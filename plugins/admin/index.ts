// plugins/admin: the administration REST API. Everything below /admin, for clients that send the token.
import bearerAuth from '@fastify/bearer-auth'
import rateLimit from '@fastify/rate-limit'
import type { TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { PeerDirectory } from '../../src/cluster/peer-directory.ts'
import { DatabaseUnavailable } from '../../src/database/database.ts'
import type { TokenHolder } from '../../src/http/tokens.ts'
import { addressKey } from '../../src/limits/address.ts'
import { PROBLEM_TYPE, type ProblemName } from '../../src/protocol/problems.ts'
import { eventRoutes } from './events.ts'
import { historyRoutes } from './history.ts'
import { holderRoutes } from './holder.ts'
import { identityRoutes } from './identities.ts'
import { memberRoutes } from './members.ts'
import { networkRoutes } from './networks.ts'
import { clusterPeers, localPeers } from './peer-lists.ts'
import { peerRoutes } from './peers.ts'
import { ProblemError, problemBody, sendProblem } from './problems.ts'
import { queueRoutes } from './queues.ts'
import { type RelaysContext, relayRoutes } from './relays.ts'
import { checkerFor } from './requests.ts'
import { type StatsContext, statsRoutes } from './stats.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose token the request carries; null: none that is valid. */
    holder: TokenHolder | null
    /** The numbers of a change's answer, and what it names, for the log. */
    outcome: object | null
  }
}

export interface AdminOptions {
  /** Requests in a minute, for each token and address, and for each address without a valid token. */
  readonly requestsPerMinute: number
  /** Lifetime of a message that is queued again, in ms. */
  readonly ttlMs: number
  /** What people call this relay. */
  readonly relayName: string
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
        admin.decorateRequest('holder', null)
        admin.decorateRequest('outcome', null)
        await limitRequests(admin, options.requestsPerMinute)
        await askForToken(admin)
        admin.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'))
        admin.addHook('preSerialization', async (request, _reply, answer) => noteOutcome(request, answer))
        admin.addHook('onResponse', logChange)
        admin.removeContentTypeParser('text/plain') // Fastify's own: JSON is all there is
        admin.addHook('onRoute', (route) => {
          route.bodyLimit = MAX_BODY_BYTES
        })
        // A stranger is not even told which paths below /admin exist: the hooks above come first.
        admin.setNotFoundHandler((request, reply) => refuseRoute(admin.methodsAt(request), request, reply))
        for (const routes of [
          holderRoutes,
          statsRoutes,
          queueRoutes,
          peerRoutes,
          relayRoutes,
          identityRoutes,
          eventRoutes,
          historyRoutes
        ])
          routes(admin, context)
        if (context.networks !== undefined) {
          for (const routes of [networkRoutes, memberRoutes]) routes(admin, { ...context, networks: context.networks })
        }
      },
      { prefix: '/admin' }
    )
  },
  {
    name: 'admin',
    fastify: '5.x',
    encapsulate: true,
    dependencies: ['admin-token', 'identities', 'offline-queue', 'routes']
  }
)

function contextOf(app: FastifyInstance, options: AdminOptions): StatsContext & RelaysContext {
  const { database, presence, cluster, sessions, mailboxes, identities, nameMutex, metrics, queueStats } = app
  const { ttlMs, relayName, now } = options
  return {
    ...{ database, presence, cluster, sessions, mailboxes, identities, nameMutex, metrics, queueStats },
    ...{ ttlMs, relayName, now },
    identityChanged: app.identityChanged,
    peers:
      cluster === undefined
        ? localPeers(presence, relayName)
        : clusterPeers(new PeerDirectory(cluster, database, presence)),
    networks: app.hasDecorator('networks') ? app.networks : undefined,
    eventLoop: app.eventLoop.read,
    startedAt: now()
  }
}

/** A valid token is counted apart: strangers of its address, or guesses, never keep it out. */
async function limitRequests(admin: FastifyInstance, max: number): Promise<void> {
  const keyGenerator = ({ holder, ip }: FastifyRequest) => `${holder?.name ?? ' '} ${addressKey(ip)}`
  await admin.register(rateLimit, { global: false, max, timeWindow: MINUTE_MS, cache: ADDRESSES, keyGenerator })
  admin.addHook('onRequest', async (request) => {
    request.holder = (await admin.adminToken.holder(request)) ?? null
  })
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
    auth: (_token, request) => request.holder !== null,
    specCompliance: 'rfc6749', // as for the audit trail, the scheme's letter case does not matter (RFC 9110 §11.1)
    errorResponse: () => problemBody('unauthorized') as never,
    contentType: PROBLEM_TYPE,
    verifyErrorLogLevel: 'debug'
  })
  admin.addHook('onRequest', async (request, reply) => {
    if (request.holder?.role === 'admin' || isRead(request)) return
    return sendProblem(reply, request, 'forbidden', `the token ${request.holder?.name} may only read`)
  })
}

const isRead = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD'

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

function refuseRoute(methods: readonly string[], request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (methods.length === 0 || methods.includes(request.method)) {
    return sendProblem(reply, request, 'not-found', 'no such route')
  }
  reply.header('allow', methods.join(', '))
  return sendProblem(reply, request, 'wrong-method', `this path has ${methods.join(', ')}`)
}

type Outcome = Record<string, unknown>

/** Names and numbers of an answer to a change: never more, so that nothing secret gets into the log. */
async function noteOutcome(request: FastifyRequest, answer: unknown): Promise<unknown> {
  if (isRead(request) || typeof answer !== 'object' || answer === null) return answer
  const { purged, requeued, closed, unanswered, changed, released, deleted, uid, enabled } = answer as Outcome
  request.outcome = { purged, requeued, closed, unanswered, changed, released, deleted, uid, enabled }
  return answer
}

async function logChange(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { method, ip: address, routeOptions, query, params, holder, outcome } = request
  if (isRead(request) || (query as { dryRun?: boolean }).dryRun === true || reply.statusCode >= 400) return
  const facts = { method, route: routeOptions.url, ...(params as object), ...outcome, by: holder?.name, address }
  request.log.info(facts, 'administration: changed')
}
