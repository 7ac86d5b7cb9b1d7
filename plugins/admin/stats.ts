// /admin/stats: how the server is doing.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { type Database, DatabaseUnavailable } from '../../src/database/database.ts'
import type { Member } from '../../src/delivery/member.ts'
import type { QueueStats } from '../../src/delivery/queue-stats.ts'
import type { ReceiptStrength } from '../../src/delivery/receipts.ts'
import { Window } from '../../src/delivery/session-facts.ts'
import type { EventLoopStats } from '../../src/observability/event-loop.ts'
import type { RelayMetrics } from '../../src/observability/metrics.ts'
import type { Sessions } from '../../src/session/sessions.ts'
import { allLogs } from '../../src/store/audit-log.ts'
import { isoTime, Time } from '../../src/util/iso-time.ts'
import { VERSION } from '../../src/util/package-root.ts'
import { type AdminContext, described, problems, typed } from './resource.ts'

export interface StatsContext extends AdminContext {
  readonly sessions: Sessions<Member>
  readonly queueStats: QueueStats
  readonly metrics: RelayMetrics
  readonly eventLoop: () => EventLoopStats
  /** What people call this relay. */
  readonly relayName: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
}

type Protocol = 'signaling' | 'l2ps'

/** Logs that are shown: the largest. */
const MAX_LOGS = 50
const ANSWER_MS = 1_000

const Count = (description: string) => Type.Integer({ description })
const Total = (description: string) => Type.Integer({ description: `${description} Since the start of the process.` })

const ProtocolStats = Type.Object({
  sessions: Count('Open sockets.'),
  registered: Count('Sockets that speak for a peer.'),
  peers: Count('Connected peers.'),
  acceptedTotal: Total('Messages accepted.'),
  deliveredTotal: Type.Object(
    { ack: Type.Integer(), pong: Type.Integer(), none: Type.Integer() },
    { description: 'Messages received, by receipt. Since the start of the process.' }
  ),
  refusedTotal: Total('Frames answered with an error.'),
  queue: Type.Object({
    asOf: Type.Union([Time, Type.Null()], { description: 'When these numbers were read; null: not yet.' }),
    entries: Count('Messages waiting.'),
    bytes: Count('Of their bodies.'),
    oldestAgeSeconds: Type.Union([Type.Number(), Type.Null()])
  }),
  window: Window
})

export const StatsAnswer = Type.Object(
  {
    relay: Type.Optional(Type.String({ description: 'In a cluster: what people call this relay.' })),
    version: Type.String(),
    startedAt: Time,
    uptimeSeconds: Type.Number(),
    expiredTotal: Total('Messages that were not received in time.'),
    protocols: Type.Object({ signaling: ProtocolStats, l2ps: ProtocolStats }),
    networks: Type.Object({ count: Count('L2PS networks.'), enabled: Count('L2PS networks that peers may join.') }),
    eventLoop: Type.Object(
      {
        lagP50Ms: Type.Number(),
        lagP99Ms: Type.Number(),
        lagMaxMs: Type.Number(),
        utilization: Type.Number({ description: 'Share of the time at work, 0 to 1.' })
      },
      { description: 'Over the last 10 seconds or so.' }
    ),
    memory: Type.Object({ rssBytes: Type.Integer(), heapUsedBytes: Type.Integer() }),
    database: Type.Object({
      embedded: Type.Boolean(),
      ok: Type.Boolean({ description: 'Did it answer within a second?' }),
      waitingMessages: Count('Messages that wait for their commit.')
    }),
    audit: Type.Object({
      logs: Type.Array(
        Type.Object({
          network: Type.String(),
          size: Count('Records.'),
          checkpointAt: Type.Union([Time, Type.Null()], { description: 'When the last checkpoint was published.' }),
          anchoredSize: Count('Records under an anchored checkpoint.')
        }),
        { description: `The largest ${MAX_LOGS} logs.` }
      ),
      haltedLogs: Count('Logs that wait for an operator.'),
      lagSeconds: Type.Number({ description: 'Age of the oldest event of the last batch.' })
    })
  },
  { description: 'Totals: the difference of two answers gives a rate.' }
)
type Stats = Static<typeof StatsAnswer>

export function statsRoutes(admin: FastifyInstance, context: StatsContext): void {
  const schema = {
    ...described(
      'stats',
      'How the server is doing',
      'Cheap. The numbers of the queues may be some seconds old, see `asOf`. In a cluster the sessions, totals and ' +
        'the process are those of this relay; see /admin/relays for the others.'
    ),
    response: { 200: StatsAnswer, ...problems }
  }
  typed(admin).get('/stats', { schema }, () => readStats(context))
}

const answers = (database: Database): Promise<boolean> =>
  database.within(database.urgent`select 1`, ANSWER_MS).then(
    () => true,
    () => false
  )

async function readStats(context: StatsContext): Promise<Stats> {
  const { database, metrics, mailboxes, cluster, relayName, now, startedAt } = context
  const networks = context.networks?.list() ?? []
  const { rss, heapUsed } = process.memoryUsage()
  const [ok, audit] = await Promise.all([answers(database), auditStats(context)])
  return {
    ...(cluster === undefined ? {} : { relay: relayName }),
    ...{ version: VERSION, startedAt: isoTime(startedAt), expiredTotal: metrics.expired.total(), audit },
    uptimeSeconds: Math.max(0, now() - startedAt) / 1_000,
    protocols: { signaling: protocolStats(context, 'signaling'), l2ps: protocolStats(context, 'l2ps') },
    networks: { count: networks.length, enabled: networks.filter(({ enabled }) => enabled).length },
    eventLoop: context.eventLoop(),
    memory: { rssBytes: rss, heapUsedBytes: heapUsed },
    database: {
      ...{ embedded: database.embedded, ok },
      waitingMessages: mailboxes.signaling.waiting + mailboxes.l2ps.waiting
    }
  }
}

function protocolStats(context: StatsContext, protocol: Protocol): Stats['protocols'][Protocol] {
  const { sessions, metrics } = context
  const open = [...sessions.all()].filter((session) => session.protocol.name === protocol)
  const members = open.flatMap(({ member }) => member ?? [])
  const windows = members.map(({ delivery }) => delivery.unreceipted)
  const delivered = (receipt: ReceiptStrength) => metrics.delivered.total({ protocol, receipt })
  return {
    ...{ sessions: open.length, registered: members.length },
    peers: new Set(members.map(({ network, peer }) => `${network} ${peer}`)).size,
    acceptedTotal: metrics.accepted.total({ protocol }),
    deliveredTotal: { ack: delivered('ack'), pong: delivered('pong'), none: delivered('none') },
    refusedTotal: metrics.framesRefused.total({ protocol }),
    queue: waitingIn(context, protocol),
    window: {
      messages: windows.reduce((sum, { messages }) => sum + messages, 0),
      bytes: windows.reduce((sum, { bytes }) => sum + bytes, 0)
    }
  }
}

function waitingIn({ queueStats, now }: StatsContext, protocol: Protocol) {
  const latest = queueStats.latest()
  if (latest === undefined) return { asOf: null, entries: 0, bytes: 0, oldestAgeSeconds: null }
  const { entries, bytes, oldestAcceptedAt: oldest } = latest[protocol]
  const oldestAgeSeconds = oldest === undefined ? null : Math.max(0, now() - oldest) / 1_000
  return { asOf: isoTime(latest.asOf), entries, bytes, oldestAgeSeconds }
}

async function auditStats({ database, metrics }: StatsContext): Promise<Stats['audit']> {
  const found = await database.within(allLogs(database.sql), ANSWER_MS).catch((error: unknown) => {
    if (error instanceof DatabaseUnavailable) return [] // `database.ok` says so
    throw error
  })
  const logs = found.sort((a, b) => b.size - a.size).slice(0, MAX_LOGS)
  metrics.refresh()
  return {
    logs: logs.map(({ network, size, publishedAt, anchoredSize }) => {
      return { network, size, checkpointAt: publishedAt === 0 ? null : isoTime(publishedAt), anchoredSize }
    }),
    haltedLogs: metrics.auditHaltedLogs.total(),
    lagSeconds: metrics.auditIntegrationLag.total()
  }
}
