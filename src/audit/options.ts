import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AuditOptions } from '../../plugins/audit.ts'
import { createDemosRpcAnchor } from '../anchor/demos-rpc/anchor.ts'
import type { Config } from '../config/schema.ts'
import { anchorSubmissions } from '../store/anchor-submission.ts'
import { busyMeter } from './busy.ts'
import type { AuditTrailOptions } from './trail.ts'

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
    now,
    ...(config.ANCHOR === 'demos-rpc' ? { createAnchor: demosAnchor(app, config, now) } : {})
  }
}

/** One transaction at a time is under way for each network, a few networks at once. */
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

/** Do messages come in faster than a batch an interval becomes records, on a machine that has no time to spare? */
function busyServer({ mailboxes }: FastifyInstance, config: Config): () => boolean {
  const { AUDIT_INTERVAL_MS: intervalMs, AUDIT_BATCH_EVENTS: batchEvents } = config
  return busyMeter(intervalMs, batchEvents, () => mailboxes.signaling.written + mailboxes.l2ps.written)
}
