// plugins/audit.ts — the audit trail: keeps the logs growing and anchored, and serves them as C2SP tlog-tiles.
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Counter } from 'prom-client'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { nodeVerifier, originOf } from '../src/audit/node-key.ts'
import { verifierLine } from '../src/audit/note.ts'
import { type PublishedLog, PublishedLogs } from '../src/audit/published.ts'
import { parseTilePath, TILE_WIDTH } from '../src/audit/tiles.ts'
import { type AuditTrail, type AuditTrailOptions, openAuditTrail } from '../src/audit/trail.ts'
import { DatabaseUnavailable } from '../src/store/database.ts'

export interface AuditOptions extends AuditTrailOptions {
  /** Requests to /audit one address may make in a minute. */
  readonly requestsPerMinute: number
  /** May this request read the records of this network, although it is not public? */
  readonly mayReadEntries: (request: FastifyRequest, network: string) => boolean | Promise<boolean>
  /** May everybody read the records of this network? */
  readonly isPublic: (network: string) => boolean | Promise<boolean>
}

const Network = Type.String({ minLength: 1, maxLength: 128, description: 'The network: `signaling`, or an L2PS uid.' })
export const LogParams = Type.Object({ network: Network })
export const TileParams = Type.Object({
  network: Network,
  '*': Type.String({
    maxLength: 64,
    description: '`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`, the index in groups: `x001/234`.'
  })
})
export const ProofParams = Type.Object({
  network: Network,
  txHash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the record: `l2psTxHash` of history.' })
})
export const AuditProblem = Type.Object({ error: Type.String(), message: Type.String() })

const problem = (error: string, message: string): Static<typeof AuditProblem> => ({ error, message })
const NOT_FOUND = problem('Not Found', 'The audit trail has nothing here.')
const TOKEN_NEEDED = problem('Unauthorized', 'The records of this network are for those with the admin token.')
const TOO_MANY = problem('Too Many Requests', 'Ask again later.')
const TRY_LATER = problem('Service Unavailable', 'The database does not answer. Ask again later.')

/** What never changes may be kept for ever; what grows is short-lived. */
const FOR_EVER = 'max-age=31536000, immutable'
const FOR_A_MINUTE = 'max-age=60'
const TEXT = 'text/plain; charset=utf-8'
const BINARY = 'application/octet-stream'
const compress = promisify(gzip)

export default fp<AuditOptions>(
  async (app, options) => {
    const trail = await openAuditTrail(app.database, app.log, options)
    app.readiness.addCheck('audit', async () => trail.sequencer.fault())
    countInMetrics(app, trail)
    app.addHook('onReady', async () => trail.start())
    app.addHook('onClose', () => trail.close())
    limitRequests(app, options.requestsPerMinute)
    app.setErrorHandler(answerError)
    publish(app, trail, options)
  },
  { name: 'audit', fastify: '5.x', encapsulate: true, dependencies: ['database', 'health', 'metrics'] }
)

function publish(app: FastifyInstance, { node }: AuditTrail, options: AuditOptions): void {
  const logs = new PublishedLogs(app.database)
  const response = { 404: AuditProblem, 429: AuditProblem, 503: AuditProblem }
  const none = (reply: FastifyReply) => reply.code(404).send(NOT_FOUND)
  const text = (reply: FastifyReply, body: string) => reply.type(TEXT).header('cache-control', 'no-cache').send(body)

  app.get('/audit/vkey', { schema: { response } }, async (_request, reply) =>
    text(reply, `${verifierLine(nodeVerifier(node))}\n`)
  )

  type Log = { Params: Static<typeof LogParams> }
  app.get<Log>('/audit/:network/checkpoint', { schema: { params: LogParams, response } }, async (request, reply) => {
    const log = await logs.find(request.params.network)
    return log === undefined ? none(reply) : text(reply, log.publishedNote)
  })
  app.get<Log>('/audit/:network/vkey', { schema: { params: LogParams, response } }, async (request, reply) => {
    const log = await logs.find(request.params.network)
    if (log === undefined) return none(reply)
    const name = originOf(node.name, log.network, log.epoch)
    return text(reply, `${verifierLine({ ...nodeVerifier(node), name })}\n`)
  })

  type Proof = { Params: Static<typeof ProofParams> }
  const proofSchema = { params: ProofParams, response }
  app.get<Proof>('/audit/:network/proof/:txHash', { schema: proofSchema }, async (request, reply) => {
    const log = await logs.find(request.params.network)
    const proof = log && (await logs.proof(log, Buffer.from(request.params.txHash, 'hex')))
    return proof === undefined ? none(reply) : text(reply, proof)
  })

  type Tile = { Params: Static<typeof TileParams> }
  const tileSchema = { params: TileParams, response: { ...response, 401: AuditProblem } }
  app.get<Tile>('/audit/:network/tile/*', { schema: tileSchema }, async (request, reply) => {
    const name = parseTilePath(request.params['*'])
    const log = name && (await logs.find(request.params.network))
    if (log === undefined) return none(reply)
    const { kind, ref, width } = name!
    const lifetime = width === TILE_WIDTH ? FOR_EVER : FOR_A_MINUTE
    if (kind === 'entries') return sendBundle(request, reply, log, ref.index, width, lifetime)
    const tile = await logs.tile(log, ref, width)
    if (tile === undefined) return none(reply)
    return reply.type(BINARY).header('cache-control', `public, ${lifetime}`).send(tile)
  })

  async function sendBundle(
    request: FastifyRequest,
    reply: FastifyReply,
    log: PublishedLog,
    index: number,
    width: number,
    lifetime: string
  ) {
    const isPublic = await options.isPublic(log.network)
    if (!isPublic && !(await options.mayReadEntries(request, log.network))) {
      return reply.code(401).header('www-authenticate', 'Bearer').send(TOKEN_NEEDED)
    }
    const bundle = await logs.bundle(log, index, width)
    if (bundle === undefined) return none(reply)
    reply.type(BINARY).header('cache-control', `${isPublic ? 'public' : 'private'}, ${lifetime}`)
    reply.header('vary', 'accept-encoding')
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(bundle)
    return reply.header('content-encoding', 'gzip').send(await compress(bundle))
  }
}

function limitRequests(app: FastifyInstance, requestsPerMinute: number): void {
  const limiter = new RateLimiterMemory({ points: requestsPerMinute, duration: 60 })
  app.addHook('onRequest', async (request, reply) => {
    try {
      await limiter.consume(request.ip)
    } catch (refusal) {
      const { msBeforeNext } = refusal as { msBeforeNext: number }
      return reply
        .code(429)
        .header('retry-after', Math.ceil(msBeforeNext / 1_000))
        .send(TOO_MANY)
    }
  })
}

/** A name that no log can have is simply not there. */
function answerError(error: Error & { validation?: unknown }, request: FastifyRequest, reply: FastifyReply) {
  if (error.validation !== undefined) return reply.code(404).send(NOT_FOUND)
  if (error instanceof DatabaseUnavailable) return reply.code(503).header('retry-after', '5').send(TRY_LATER)
  request.log.error({ err: error }, 'audit request failed')
  return reply.code(500).send(problem('Internal Server Error', 'Our fault. The cause is in our log.'))
}

function countInMetrics({ metrics }: FastifyInstance, { publisher, sequencer, outbox }: AuditTrail): void {
  const registers = [metrics.registry]
  const count = (name: string, help: string, read: () => number) =>
    new Counter({
      ...{ name: `demos_relay_audit_${name}`, help, registers },
      collect() {
        this.reset()
        this.inc(read())
      }
    })
  metrics.gauge('audit_halted_logs', 'Logs that wait for an operator.', () => publisher.halted.size)
  metrics.gauge(
    'audit_integration_lag_seconds',
    'Age of the oldest event of the last batch.',
    () => sequencer.lagMs / 1_000
  )
  count('records_total', 'Records this server integrated.', () => sequencer.records)
  count('anchor_failures_total', 'Attempts to anchor a checkpoint that failed.', () => outbox.failures)
}
