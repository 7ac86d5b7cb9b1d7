import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import { hostname } from 'node:os'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import admin from '../plugins/admin/index.ts'
import { refuseBadPath } from '../plugins/admin/problems.ts'
import adminToken from '../plugins/admin/token.ts'
import adminListener from '../plugins/admin-listener.ts'
import audit, { auditOptions } from '../plugins/audit.ts'
import cluster from '../plugins/cluster.ts'
import consolePage from '../plugins/console.ts'
import database from '../plugins/database.ts'
import databaseHealth from '../plugins/database-health.ts'
import diskSpace from '../plugins/disk-space.ts'
import docs from '../plugins/docs.ts'
import health from '../plugins/health.ts'
import history from '../plugins/history.ts'
import identities from '../plugins/identities.ts'
import l2ps from '../plugins/l2ps.ts'
import l2psRegistry from '../plugins/l2ps-registry.ts'
import metrics from '../plugins/metrics.ts'
import offlineQueue from '../plugins/offline-queue.ts'
import playground from '../plugins/playground.ts'
import presence from '../plugins/presence.ts'
import proofVerification from '../plugins/proof-verification.ts'
import requestBudget from '../plugins/request-budget.ts'
import routes from '../plugins/routes.ts'
import securityHeaders from '../plugins/security-headers.ts'
import signaling from '../plugins/signaling.ts'
import sockets from '../plugins/sockets.ts'
import tls from '../plugins/tls.ts'
import type { Bus } from './cluster/bus.ts'
import { prepareDataDirectory } from './config/data-directory.ts'
import { networksDirectory, tokensFile } from './config/files.ts'
import { originsIn, socketOriginsIn } from './config/origins.ts'
import { databaseUrl, hasPlayground, signalingPort } from './config/read.ts'
import type { Config } from './config/schema.ts'
import { trustedProxies } from './config/trusted-proxies.ts'
import { DatabaseUnavailable } from './database/database.ts'
import { newestMigration } from './database/migrate.ts'
import { sqlState } from './database/sql-state.ts'
import { CHECK_MS, createListener, KEEP_ALIVE_MS, type Listen, listenOnNextFreePort } from './http/listener.ts'
import { certificateFiles, readCertificate } from './http/tls/certificate.ts'
import { type Room, roomFor } from './limits/connections.ts'
import { readFileDescriptors } from './observability/file-descriptors.ts'
import { packageFile } from './util/package-root.ts'
import { StartError } from './util/start-error.ts'

export interface ServerOptions {
  readonly logger?: FastifyBaseLogger
  /** Milliseconds since 1970; tests pass a clock of their own. */
  readonly now?: () => number
  /** No audit trail: only to measure what it costs. */
  readonly withoutAudit?: boolean
  /** Aborted while it starts: the start is given up. */
  readonly stopped?: AbortSignal
  /** Another relay has taken over the database; default: the process ends as after a crash. */
  readonly replaced?: (error: Error) => void
  /** Puts something between this relay and others: for tests that lose, repeat and reorder messages. */
  readonly throughBus?: (bus: Bus) => Bus
}

export interface Addresses {
  readonly signaling: string
  readonly l2ps: string | undefined
  /** Of the signaling listener. */
  readonly http: string
  /** Where the administration is: the same, or the listener of ADMIN_PORT. */
  readonly admin: string
}

export interface RunningServer {
  readonly app: FastifyInstance
  /** Where the listeners listen: the ports asked for may have been taken. */
  readonly addresses: Addresses
  /** Finishes what is under way, closes every socket with 1001, stops the database. */
  close(): Promise<void>
}

const SECOND = 1_000
const DAY = 86_400 * SECOND
const MEGABYTE = 1_000_000
/** Slowest an HTTP request may arrive, in ms: long upgrades hold a socket without being counted. */
const REQUEST_MS = 10_000
/** Longest part of a path, in characters: a key has up to 3,904, a name 256 of up to 4 bytes written as %XX. */
const MAX_PARAMETER = 4_096
/** How often expired messages are looked for, in ms. */
const SWEEP_MS = 60_000

/** The server, composed and not yet listening. When that fails, what it had opened is closed. */
async function buildServer(config: Config, options: ServerOptions = {}): Promise<FastifyInstance> {
  await prepareDataDirectory(config.DATA_DIR)
  const tlsFiles = certificateFiles(config)
  const certificate = tlsFiles && (await readCertificate(tlsFiles))
  const { max: maxFiles } = (await readFileDescriptors()) ?? {}
  const room = roomFor(config.MAX_CONNECTIONS, maxFiles, config.DATABASE_POOL_SIZE)
  const app = Fastify({
    ...(options.logger === undefined ? { logger: false } : { loggerInstance: options.logger }),
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedProxies(config.TRUST_PROXY)!,
    frameworkErrors: refuseBadPath,
    pluginTimeout: 0, // a first start makes a database, and a migration takes as long as it takes
    routerOptions: { maxParamLength: MAX_PARAMETER },
    requestTimeout: REQUEST_MS,
    connectionTimeout: 0, // sockets live on; their own heartbeat finds the dead
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    ...(certificate === undefined
      ? { http: { headersTimeout: REQUEST_MS, connectionsCheckingInterval: CHECK_MS } }
      : { serverFactory: (listener: RequestListener) => createListener(listener, REQUEST_MS, certificate.context) })
  })

  if (room.sockets < config.MAX_CONNECTIONS)
    app.log.warn(
      { maxFiles, sockets: room.sockets },
      'fewer sockets than MAX_CONNECTIONS fit: raise the limit of open files'
    )

  try {
    await compose(app, config, options, { room, tlsFiles, certificate })
    return app
  } catch (error) {
    await app.close() // its place in the cluster, and the connections, are given up
    throw error instanceof DatabaseUnavailable ? new StartError(inWords(error), { cause: error }) : error
  }
}

/** SQLSTATE too_many_connections. */
const TOO_MANY_CONNECTIONS = '53300'

const inWords = ({ message, cause }: DatabaseUnavailable): string =>
  sqlState(cause) === TOO_MANY_CONNECTIONS
    ? `${message}. Let the role, the database and the server have more of them: three at least`
    : `${message}. Start the server again when Postgres answers`

interface Surroundings {
  readonly room: Room
  readonly tlsFiles: ReturnType<typeof certificateFiles>
  readonly certificate: Awaited<ReturnType<typeof readCertificate>> | undefined
}

/** Each concern is a plugin, below it only those it needs. */
async function compose(
  app: FastifyInstance,
  config: Config,
  options: ServerOptions,
  { room, tlsFiles, certificate }: Surroundings
): Promise<void> {
  const now = options.now ?? Date.now
  await app.register(securityHeaders)
  await app.register(routes)
  await app.register(requestBudget, { perAddress: config.WORK_PER_ADDRESS })
  await app.register(adminListener, { isSeparate: config.ADMIN_PORT !== undefined, requestMs: REQUEST_MS, certificate })
  await app.register(docs)
  await app.register(consolePage)
  if (hasPlayground(config)) await app.register(playground)
  await app.register(health, { mayTell: (request) => app.adminListener.isOperators(request) })
  await app.register(metrics)
  await app.register(database, {
    url: databaseUrl(config),
    pooler: config.DATABASE_POOLER,
    dataDir: config.DATA_DIR,
    poolSize: config.DATABASE_POOL_SIZE,
    deadlineMs: config.DATABASE_DEADLINE_MS,
    stopped: options.stopped
  })
  await app.register(diskSpace, { dataDir: config.DATA_DIR })
  await app.register(proofVerification, { workers: config.PROOF_WORKERS, queueLength: config.PROOF_QUEUE_LENGTH })
  await app.register(presence, {
    isAlone: config.CLUSTER_NAME === undefined,
    connections: room.sockets,
    unregisteredPerAddress: config.MAX_UNREGISTERED_PER_ADDRESS,
    perAddress: connectionsPerAddress(config, room),
    rates: {
      ...{ socket: config.WORK_PER_SOCKET, address: config.WORK_PER_ADDRESS },
      ...{ identity: config.WORK_PER_IDENTITY, network: config.WORK_PER_NETWORK }
    },
    heartbeatMs: config.HEARTBEAT_SECONDS * SECOND,
    answerMs: config.PONG_DEADLINE_SECONDS * SECOND,
    stallMs: config.STALL_DEADLINE_SECONDS * SECOND,
    fanOutPeers: config.PRESENCE_FAN_OUT_PEERS
  })
  await app.register(cluster, {
    name: config.CLUSTER_NAME,
    relayName: config.RELAY_NAME,
    nats: natsSettings(config),
    sessionsPerPeer: config.MAX_SESSIONS_PER_KEY,
    now,
    replaced: options.replaced ?? stopAsAfterACrash,
    throughBus: options.throughBus
  })
  const mailboxLimits = {
    recipientMessages: config.RECIPIENT_QUEUE_MESSAGES,
    recipientBytes: config.RECIPIENT_QUEUE_BYTES,
    waitingMessages: config.MAX_WAITING_MESSAGES,
    waitingBytes: config.MAX_WAITING_BYTES,
    deadlineMs: config.DATABASE_DEADLINE_MS
  }
  await app.register(offlineQueue, {
    now,
    isAudited: options.withoutAudit !== true,
    sweepMs: SWEEP_MS,
    ttlMs: config.QUEUE_TTL_SECONDS * SECOND,
    maxDeliveries: config.MAX_DELIVERIES,
    sessionsPerPeer: config.MAX_SESSIONS_PER_KEY,
    daily: {
      senderBytesPerDay: config.SENDER_MEGABYTES_PER_DAY * MEGABYTE,
      networkBytesPerDay: config.NETWORK_MEGABYTES_PER_DAY * MEGABYTE
    },
    networkLimits: {
      messages: config.NETWORK_WAITING_MESSAGES,
      bytes: config.NETWORK_WAITING_MEGABYTES * MEGABYTE
    },
    receipts: {
      mode: config.RECEIPTS,
      graceMs: config.RECEIPT_GRACE_SECONDS * SECOND,
      window: { messages: config.WINDOW_MESSAGES, bytes: config.WINDOW_BYTES }
    },
    historyMs: config.HISTORY_DAYS * DAY,
    signaling: { ...mailboxLimits, quotaPerSender: config.SIGNALING_QUOTA_PER_SENDER },
    l2ps: { ...mailboxLimits, quotaPerSender: config.L2PS_QUOTA_PER_SENDER }
  })
  const relayName = config.RELAY_NAME ?? hostname()
  await app.register(history, { now, relay: config.CLUSTER_NAME === undefined ? '' : relayName })
  await app.register(identities, {
    now,
    idleDays: config.IDENTITY_IDLE_DAYS,
    unusedDays: config.UNUSED_IDENTITY_DAYS
  })
  await app.register(sockets, {
    requestMs: REQUEST_MS,
    certificate,
    connections: {
      room,
      perAddress: config.TRUST_PROXY === 'false' ? connectionsPerAddress(config, room) : undefined
    },
    allowedOrigins: config.ALLOWED_ORIGINS === undefined ? undefined : originsIn(config.ALLOWED_ORIGINS),
    limits: {
      framesInFlight: config.MAX_FRAMES_IN_FLIGHT,
      refusedFramesPerSecond: config.MAX_REFUSED_FRAMES_PER_SECOND,
      registrationDeadlineMs: config.REGISTRATION_DEADLINE_SECONDS * SECOND,
      messageDeadlineMs: config.MESSAGE_DEADLINE_SECONDS * SECOND
    }
  })
  if (tlsFiles && certificate) await app.register(tls, { files: tlsFiles, certificate, now })
  const protocolOptions = {
    failedProofsPerMinute: config.MAX_FAILED_PROOFS_PER_ADDRESS,
    failedRegistrations: config.MAX_FAILED_REGISTRATIONS_PER_SOCKET,
    discoverPeers: config.DISCOVER_PEERS
  }
  await app.register(signaling, {
    ...protocolOptions,
    quotaPerSender: config.SIGNALING_QUOTA_PER_SENDER,
    publicOrigins: config.PUBLIC_ORIGINS === undefined ? undefined : socketOriginsIn(config.PUBLIC_ORIGINS)
  })
  if (config.L2PS_MESSAGING_ENABLED) {
    await app.register(l2psRegistry, { directory: networksDirectory(config.DATA_DIR, config.L2PS_DIR) })
    await app.register(l2ps, { ...protocolOptions, now, proofWindowMs: config.PROOF_WINDOW_SECONDS * SECOND })
  }
  await app.register(adminToken, {
    token: config.ADMIN_TOKEN,
    dataDir: config.DATA_DIR,
    file: tokensFile(config.DATA_DIR, config.TOKENS_FILE)
  })
  if (options.withoutAudit !== true) await app.register(audit, auditOptions(app, config, now))
  await app.register(admin, {
    requestsPerMinute: config.ADMIN_REQUESTS_PER_MINUTE,
    ttlMs: config.QUEUE_TTL_SECONDS * SECOND,
    relayName,
    now
  })
  await app.register(databaseHealth, {
    dataDir: config.DATA_DIR,
    newestMigration: await newestMigration(packageFile('migrations'))
  })
  app.addHook('preClose', () => finish(app, config.SHUTDOWN_GRACE_SECONDS * SECOND))
}

/** Builds the server and starts to listen. */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const app = await buildServer(config, options)
  const { HOST: host, ADMIN_HOST: adminHost, ADMIN_PORT: adminPort } = config
  const { l2psListener } = app.sockets
  const { server: adminServer } = app.adminListener
  try {
    const open = (name: string, at: string, port: number, listenAt: Listen) =>
      openListener(app, config.STRICT_PORTS, { name, host: at, port, listenAt })
    await open('signaling', host, signalingPort(config), (port) =>
      app.listen({ host, port, backlog: BACKLOG, listenTextResolver: () => 'the signaling listener is open' })
    )
    if (config.L2PS_MESSAGING_ENABLED) {
      await open('l2ps', host, config.L2PS_MESSAGING_PORT, (port) => listen(l2psListener, host, port))
    }
    if (adminServer !== undefined && adminPort !== undefined) {
      await open('admin', adminHost, adminPort, (port) => listen(adminServer, adminHost, port))
    }
  } catch (error) {
    await app.close()
    throw error
  }
  const http = addressOf(app.server)
  const addresses = {
    http,
    signaling: http.replace(/^http/, 'ws'),
    l2ps: l2psListener.listening ? addressOf(l2psListener).replace(/^http/, 'ws') : undefined,
    admin: adminServer === undefined ? http : addressOf(adminServer)
  }
  app.readiness.listening('signaling', addresses.signaling)
  if (addresses.l2ps !== undefined) app.readiness.listening('l2ps', addresses.l2ps)
  if (adminServer !== undefined) app.readiness.listening('admin', addresses.admin)
  const close = () => {
    app.readiness.stopping() // said as long as HTTP is still answered
    return app.close()
  }
  return { app, addresses, close }
}

/** One address never takes the places of all others. */
const connectionsPerAddress = ({ MAX_CONNECTIONS_PER_ADDRESS }: Config, { sockets }: Room) =>
  Math.min(MAX_CONNECTIONS_PER_ADDRESS, Math.ceil(sockets / 2))

function natsSettings({ NATS_URL: urls, NATS_CREDS_FILE: credentialsFile, NATS_CA_FILE: caFile }: Config) {
  return urls === undefined ? undefined : { urls, credentialsFile, caFile }
}

/** Whoever watches over the process starts it again, and it finds out whether it may run. */
function stopAsAfterACrash(error: Error): void {
  setImmediate(() => {
    throw error
  })
}

/** Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`). */
const BACKLOG = 4_096

/** How many ports are tried, from the one that was asked for. */
const PORTS_TRIED = 100

/** Listens on the port or, unless that is forbidden, on the next free one, and says so. */
async function openListener(
  { log, readiness }: FastifyInstance,
  isStrict: boolean,
  { name, host, port: asked, listenAt }: { name: string; host: string; port: number; listenAt: Listen }
): Promise<void> {
  const port = await listenOnNextFreePort(listenAt, asked, isStrict ? 1 : PORTS_TRIED, host)
  if (port === asked) return
  log.warn({ listener: name, takenPort: asked, port }, 'a port is taken: listening on the next free one')
  readiness.addDetails(`${name} port`, () => ({ taken: asked, used: port }))
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen({ host, port, backlog: BACKLOG })
  await once(server, 'listening') // rejects on 'error'
}

/**
 * No further frame is read; what was read is committed and answered; then the sockets are told to go elsewhere, and every
 * connection of the listeners ends. Takes less than the grace, whatever hangs.
 */
async function finish(app: FastifyInstance, graceMs: number): Promise<void> {
  app.sessions.stopReading()
  await Promise.race([app.mailboxes.drained(), sleep(0.4 * graceMs)])
  await app.sessions.closeAll(0.2 * graceMs)
  await Promise.race([app.mailboxes.drained(), sleep(0.2 * graceMs)]) // releases of what was still written
  await app.sockets.endConnections(0.1 * graceMs)
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms).unref())

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server does not listen')
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http${server instanceof TlsServer ? 's' : ''}://${host}:${address.port}`
}
