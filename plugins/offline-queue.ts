// plugins/offline-queue.ts — the mailboxes: keep sealed messages until their recipients have them.
import fp from 'fastify-plugin'
import type { Acceptance } from '../src/delivery/envelope.ts'
import { HistoryShelf } from '../src/delivery/history-store.ts'
import { Mailbox, type MailboxLimits } from '../src/delivery/mailbox.ts'
import { Mailboxes } from '../src/delivery/mailboxes.ts'
import { type LatestFigures, type QueueFiguresWatch, watchQueueFigures } from '../src/delivery/queue-stats.ts'
import { passingShelf, type Shelf } from '../src/delivery/shelf.ts'
import { PROTOCOLS, type ProtocolName } from '../src/observability/metrics/catalogue.ts'
import type { RelayMetrics } from '../src/observability/metrics.ts'
import { touchIdentities } from '../src/store/identity.ts'

declare module 'fastify' {
  interface FastifyInstance {
    mailboxes: Mailboxes
    queueFigures: QueueFiguresWatch
  }
}

export interface OfflineQueueOptions {
  readonly signaling: MailboxLimits
  readonly l2ps: MailboxLimits
  /** Is the audit trail told of every message? */
  readonly isAudited: boolean
  /** How long messages are kept for history, in ms. */
  readonly historyMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly sweepMs: number
}

/** How often the names of connected peers are noted as in use, and history is looked through, in ms. */
const HOURLY_MS = 3_600_000
/** Rest between two looks at how much waits, in ms. */
const FIGURES_REST_MS = 2_000

export default fp<OfflineQueueOptions>(
  async (app, { signaling, l2ps, isAudited, historyMs, now, sweepMs }) => {
    const { database, presence, metrics, log } = app
    const mailbox = (protocol: ProtocolName, shelf: Shelf, limits: MailboxLimits) =>
      new Mailbox({ database, recipients: presence, shelf, limits, now, log, ...countsOf(metrics, protocol) })
    const mailboxes = new Mailboxes({
      signaling: mailbox('signaling', passingShelf(isAudited), signaling),
      l2ps: mailbox('l2ps', new HistoryShelf(isAudited), l2ps),
      database,
      now
    })
    app.decorate('mailboxes', mailboxes)
    const figures = watchQueueFigures({ database, log, now, restMs: FIGURES_REST_MS })
    app.decorate('queueFigures', figures)
    metrics.onRead(() => showQueues(metrics, mailboxes, figures.latest(), now()))

    const sweep = async () => {
      const expired = await mailboxes.expire()
      metrics.expired.at().inc(expired)
      if (expired > 0) log.info({ entries: expired }, 'expired messages deleted')
    }
    const touch = () => database.within(touchIdentities(database.sql, [...presence.everyone()]))
    const timers = [
      every(sweepMs, 'expiry sweep', sweep),
      every(HOURLY_MS, 'touch', touch),
      every(HOURLY_MS, 'history sweep', () => mailboxes.forget(historyMs))
    ]
    app.addHook('onClose', async () => {
      figures.close()
      for (const timer of timers) clearInterval(timer)
    })

    function every(ms: number, task: string, work: () => Promise<unknown>): NodeJS.Timeout {
      let isRunning = false
      return setInterval(async () => {
        if (isRunning) return
        isRunning = true
        await work().catch((error: unknown) => log.warn({ err: error, task }, 'background task failed'))
        isRunning = false
      }, ms).unref()
    }
  },
  { name: 'offline-queue', fastify: '5.x', dependencies: ['database', 'presence', 'metrics'] }
)

/** What a mailbox tells of its messages and of its commits. */
function countsOf(metrics: RelayMetrics, protocol: ProtocolName) {
  const outcomes = { ...metrics.accepted.by('route', { protocol }), ...metrics.rejected.by('reason', { protocol }) }
  const acceptSeconds = metrics.acceptSeconds.at({ protocol })
  const groups = metrics.commitGroup.at({ protocol })
  const commitSeconds = metrics.commitSeconds.at({ protocol })
  return {
    count: (acceptance: Acceptance) => outcomes[acceptance].inc(),
    observer: {
      item: (seconds: number) => acceptSeconds.observe(seconds),
      group: (items: number, seconds: number) => {
        groups.observe(items)
        commitSeconds.observe(seconds)
      }
    }
  }
}

function showQueues(metrics: RelayMetrics, mailboxes: Mailboxes, latest: LatestFigures | undefined, now: number): void {
  const secondsSince = (ms: number) => Math.max(0, now - ms) / 1_000
  if (latest !== undefined) metrics.queueFiguresAge.at().value = secondsSince(latest.asOf)
  for (const protocol of PROTOCOLS) {
    metrics.commitWaiting.at({ protocol }).value = mailboxes[protocol].waiting
    if (latest === undefined) continue
    const { entries, bytes, oldestAcceptedAt } = latest[protocol]
    metrics.queueEntries.at({ protocol }).value = entries
    metrics.queueBytes.at({ protocol }).value = bytes
    metrics.queueOldestAge.at({ protocol }).value = oldestAcceptedAt === undefined ? 0 : secondsSince(oldestAcceptedAt)
  }
}
