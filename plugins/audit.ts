// plugins/audit.ts: runs the audit trail, and serves its logs as C2SP tlog-tiles.
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import rateLimit from '@fastify/rate-limit'
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createDemosRpcAnchor } from '../src/anchor/demos-rpc/anchor.ts'
import { watchAuditStats } from '../src/audit/audit-stats.ts'
import { type NodeIdentity, nodeVerifier, originOf } from '../src/audit/node-key.ts'
import { busyMeter } from '../src/audit/pace.ts'
import { type PublishedLog, PublishedLogs } from '../src/audit/published.ts'
import { type AuditTrail, type AuditTrailOptions, openAuditTrail } from '../src/audit/trail.ts'
import type { Config } from '../src/config/schema.ts'
import { DatabaseUnavailable } from '../src/database/database.ts'
import { addressKey } from '../src/limits/address.ts'
import { anchorSubmissions } from '../src/store/anchor-submission.ts'
import { verifierLine } from '../src/tlog/note.ts'
import { parseTilePath, TILE_WIDTH } from '../src/tlog/tiles.ts'
import { limitedLog } from '../src/util/limited-log.ts'
import type { Log } from '../src/util/log.ts'

export interface AuditOptions extends AuditTrailOptions {
  /** Requests to /audit one address may make in a minute. */
  readonly requestsPerMinute: number
  /** Whether this request may read the records of this network although it is not public. */
  readonly mayReadEntries: (request: FastifyRequest, network: string) => boolean | Promise<boolean>
  /** Whether everybody may read the records of this network. */
  readonly isPublic: (network: string) => boolean | Promise<boolean>
}

const Network = Type.String({
  minLength: 1,
  maxLength: 128,
  pattern: '^[^\\u0000]*$', // Postgres knows no such character
  description: 'The network: `signaling`, or an L2PS uid.'
})
const LogParams = Type.Object({ network: Network })
const TileParams = Type.Object({
  network: Network,
  '*': Type.String({
    maxLength: 64,
    description: '`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`, the index in groups: `x001/234`.'
  })
})
const ProofParams = Type.Object({
  network: Network,
  txHash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the record: `l2psTxHash` of history.' })
})
const AuditProblem = Type.Object({ error: Type.String(), message: Type.String() })

const problem = (error: string, message: string): Static<typeof AuditProblem> => ({ error, message })
const NOT_FOUND = problem('Not Found', 'The audit trail has nothing here.')
const TOKEN_NEEDED = problem('Unauthorized', 'The records of this network are for those with the admin token.')
const TOO_MANY = problem('Too Many Requests', 'Ask again later.')
const TRY_LATER = problem('Service Unavailable', 'The database does not answer. Ask again later.')
const MISTAKE = problem(
  'Internal Server Error',
  'The server has made a mistake. Ask again; if it fails again, its operator finds the cause in the log.'
)

/** What never changes may be kept for ever; what grows is short-lived. */
const FOR_EVER = 'max-age=31536000, immutable'
const FOR_A_MINUTE = 'max-age=60'
const TEXT = 'text/plain; charset=utf-8'
const BINARY = 'application/octet-stream'
/** Rest between two polls of the logs' progress, in ms. */
const STATS_REST_MS = 5_000
const MINUTE_MS = 60_000
/** Addresses whose requests are counted; the least recently seen is dropped first. */
const ADDRESSES = 10_000
const compress = promisify(gzip)

export default fp<AuditOptions>(
  async (app, options) => {
    const trail = await openAuditTrail(app.database, app.log, options)
    app.readiness.addCheck('audit', async () => trail.sequencer.fault())
    const stats = countInMetrics(app, trail, options)
    app.addHook('onReady', async () => trail.start())
    app.addHook('onClose', () => {
      stats.close()
      return trail.close()
    })
    allowEveryPage(app)
    await limitRequests(app, options.requestsPerMinute)
    app.setErrorHandler(answerError(limitedLog(app.log)))
    publish(app, trail, options)
  },
  { name: 'audit', fastify: '5.x', encapsulate: true, dependencies: ['database', 'health', 'metrics'] }
)

const answer = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: Type.String() } }
})
const refusal = (description: string) => ({ ...AuditProblem, description })

function publish(app: FastifyInstance, { node }: AuditTrail, options: AuditOptions): void {
  const logs = new PublishedLogs(app.database)
  publishKeys(app, logs, node)
  publishCheckpoints(app, logs)
  publishTiles(app, logs, options)
}

const REFUSALS = {
  404: refusal('The audit trail has nothing here.'),
  429: refusal('This address asks too often.'),
  503: refusal('The database does not answer.')
}
const asText = { 200: answer('text/plain', 'Lines of text.'), ...REFUSALS }
/** What is not there yet may be there in a second: no cache may go on saying that it is not. */
const none = (reply: FastifyReply) => reply.code(404).header('cache-control', 'no-store').send(NOT_FOUND)
const text = (reply: FastifyReply, body: string) => reply.type(TEXT).header('cache-control', 'no-cache').send(body)

interface LogRoute {
  Params: Static<typeof LogParams>
}

function publishKeys(app: FastifyInstance, logs: PublishedLogs, node: NodeIdentity): void {
  app.get(
    '/audit/vkey',
    { schema: { summary: 'The verifier key line of the node', response: asText } },
    async (_request, reply) => text(reply, `${verifierLine(nodeVerifier(node))}\n`)
  )
  app.get<LogRoute>(
    '/audit/:network/vkey',
    { schema: { summary: 'The verifier key line under the name of the log', params: LogParams, response: asText } },
    async (request, reply) => {
      const log = await logs.find(request.params.network)
      if (log === undefined) return none(reply)
      const name = originOf(node.name, log.network, log.epoch)
      return text(reply, `${verifierLine({ ...nodeVerifier(node), name })}\n`)
    }
  )
}

function publishCheckpoints(app: FastifyInstance, logs: PublishedLogs): void {
  app.get<LogRoute>(
    '/audit/:network/checkpoint',
    { schema: { summary: 'The newest signed checkpoint', params: LogParams, response: asText } },
    async (request, reply) => {
      const log = await logs.find(request.params.network)
      return log === undefined ? none(reply) : text(reply, log.publishedNote)
    }
  )
  app.get<{ Params: Static<typeof ProofParams> }>(
    '/audit/:network/proof/:txHash',
    { schema: { summary: 'Inclusion proof of a record', params: ProofParams, response: asText } },
    async (request, reply) => {
      const log = await logs.find(request.params.network)
      const proof = log && (await logs.proof(log, Buffer.from(request.params.txHash, 'hex')))
      return proof === undefined ? none(reply) : text(reply, proof)
    }
  )
  app.get<{ Params: Static<typeof ProofParams> }>(
    '/audit/:network/record/:txHash',
    { schema: { summary: 'The record with this hash', params: ProofParams, response: asText } },
    async (request, reply) => {
      const log = await logs.find(request.params.network)
      const record = log && (await logs.record(log, Buffer.from(request.params.txHash, 'hex')))
      return record === undefined ? none(reply) : text(reply, record.toString('latin1')) // ASCII
    }
  )
}

const TILE_SCHEMA = {
  summary: 'Hash tiles and entry bundles',
  params: TileParams,
  description: 'Entry bundles (`entries/…`) want the admin token, unless the records of the network are for everybody.',
  security: [{}, { bearer: [] }],
  response: {
    200: answer(BINARY, 'Hashes, or records; records are gzipped for clients that accept it.'),
    ...REFUSALS,
    401: refusal('The records of this network are for those with the admin token.')
  }
}

function publishTiles(app: FastifyInstance, logs: PublishedLogs, options: AuditOptions): void {
  app.get<{ Params: Static<typeof TileParams> }>(
    '/audit/:network/tile/*',
    { schema: TILE_SCHEMA },
    async (request, reply) => {
      const name = parseTilePath(request.params['*'])
      const log = name && (await logs.find(request.params.network))
      if (log === undefined) return none(reply)
      const { kind, ref, width } = name!
      const lifetime = width === TILE_WIDTH ? FOR_EVER : FOR_A_MINUTE
      if (kind === 'entries') return sendBundle(request, reply, log, ref.index, width, lifetime)
      const tile = await logs.tile(log, ref, width)
      if (tile === undefined) return none(reply)
      return reply.type(BINARY).header('cache-control', `public, ${lifetime}`).send(tile)
    }
  )

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

/**
 * A page of any origin may read what is public here, and records with a token that it sends itself: there are no cookies.
 * Before the limit of requests, so that such a page can read that refusal, too.
 */
function allowEveryPage(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' })
  })
  // Records with a token are asked for with a header of their own, so a browser asks first whether it may.
  app.options('/audit/:network/tile/*', { schema: { hide: true } }, async (_request, reply) => {
    reply.headers({ 'access-control-allow-methods': 'GET, HEAD', 'access-control-allow-headers': 'authorization' })
    return reply.code(204).header('access-control-max-age', 86_400).send()
  })
}

async function limitRequests(app: FastifyInstance, max: number): Promise<void> {
  const keyGenerator = (request: FastifyRequest) => addressKey(request.ip)
  await app.register(rateLimit, { global: false, max, timeWindow: MINUTE_MS, cache: ADDRESSES, keyGenerator })
  const take = app.createRateLimit()
  app.addHook('onRequest', async (request, reply) => {
    const verdict = await take(request)
    if (verdict.isAllowed || !verdict.isExceeded) return
    return reply.code(429).header('retry-after', verdict.ttlInSeconds).send(TOO_MANY)
  })
}

/** A name that no log can have is answered like a log that does not exist. */
const answerError =
  (log: Log) => (error: Error & { validation?: unknown }, _request: FastifyRequest, reply: FastifyReply) => {
    if (error.validation !== undefined) return none(reply)
    if (error instanceof DatabaseUnavailable) return reply.code(503).header('retry-after', '5').send(TRY_LATER)
    log.error({ err: error }, 'audit request failed')
    return reply.code(500).send(MISTAKE)
  }

function countInMetrics({ metrics, database, log }: FastifyInstance, trail: AuditTrail, options: AuditOptions) {
  const { publisher, sequencer, outbox } = trail
  const { anchorIntervalMs, now } = options
  const stats = watchAuditStats({ database, log, anchorIntervalMs, now, restMs: STATS_REST_MS })
  const secondsSince = (ms: number | undefined) => (ms === undefined ? 0 : Math.max(0, now() - ms) / 1_000)
  metrics.onRead(() => {
    metrics.auditHaltedLogs.at().value = publisher.halted.size
    metrics.auditIntegrationLag.at().value = sequencer.lagMs / 1_000
    metrics.auditRecords.at().value = sequencer.records
    metrics.auditAnchorFailures.at().value = outbox.failures
    const latest = stats.latest()
    if (latest === undefined) return
    metrics.auditLogRecords.at().value = latest.records
    metrics.auditWaiting.at().value = latest.waiting
    metrics.auditCheckpointAge.at().value = secondsSince(latest.uncoveredSince)
    metrics.auditAnchorLag.at().value = secondsSince(latest.unanchoredSince)
  })
  return stats
}

/** The audit plugin's options, from the configuration and from what the server has composed before it. */
export function auditOptions(app: FastifyInstance, config: Config, now: () => number): AuditOptions {
  return {
    dataDir: config.DATA_DIR,
    nodeKeyFile: config.NODE_KEY_FILE,
    origin: config.AUDIT_ORIGIN,
    intervalMs: config.AUDIT_INTERVAL_MS,
    batchEvents: config.AUDIT_BATCH_EVENTS,
    anchorIntervalMs: config.AUDIT_ANCHOR_SECONDS * 1_000,
    requestsPerMinute: config.AUDIT_REQUESTS_PER_MINUTE,
    mayReadEntries: (request: FastifyRequest) => app.adminToken.isShown(request),
    isPublic: (network: string) => config.L2PS_MESSAGING_ENABLED && app.networks.find(network)?.auditPublic === true,
    isBusy: busyServer(app, config),
    relay: app.cluster?.id,
    now,
    ...(config.ANCHOR === 'demos-rpc' ? { createAnchor: demosAnchor(app, config, now) } : {})
  }
}

/** Checkpoints on their way to the chain at once: one transaction at a time for each network, for a few networks. */
const CHAIN_PARALLEL = 4

function demosAnchor(
  app: FastifyInstance,
  config: Config,
  now: () => number
): NonNullable<AuditTrailOptions['createAnchor']> {
  const { DEMOS_RPC_URL: url = '', DEMOS_RPC_KEY: seed } = config
  return ({ database, node }) => {
    const privateKey = seed === undefined ? node.key : Buffer.from(seed.replace(/^0x/, ''), 'hex')
    const stopped = new AbortController()
    app.addHook('preClose', async () => stopped.abort())
    const { signal } = stopped
    const store = anchorSubmissions(database)
    const anchor = createDemosRpcAnchor({ url, privateKey, store, clock: now, log: app.log, signal })
    return { anchor, parallel: CHAIN_PARALLEL }
  }
}

/** Tells whether messages come in faster than they become records, a batch an interval, on a machine without spare time. */
function busyServer({ mailboxes }: FastifyInstance, config: Config): () => boolean {
  const { AUDIT_INTERVAL_MS: intervalMs, AUDIT_BATCH_EVENTS: batchEvents } = config
  return busyMeter(intervalMs, batchEvents, () => mailboxes.signaling.written + mailboxes.l2ps.written)
}
