// plugins/offline-queue.ts: the mailboxes, which keep sealed messages until their recipients have received them.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Cluster } from '../src/cluster/cluster.ts'
import { batched } from '../src/database/batched.ts'
import { ConnectedRecipients } from '../src/delivery/attach.ts'
import type { Attachments } from '../src/delivery/attachments.ts'
import { ContactNotes } from '../src/delivery/contact-notes.ts'
import { DailyBytes, type DailyLimits } from '../src/delivery/daily-bytes.ts'
import type { DeliveryWindow } from '../src/delivery/delivery.ts'
import { HistoryStore } from '../src/delivery/history-store.ts'
import { type Acceptance, Mailbox, type MailboxLimits } from '../src/delivery/mailbox.ts'
import { MailboxCounters } from '../src/delivery/mailbox-counter.ts'
import { MailboxFloors } from '../src/delivery/mailbox-floors.ts'
import { Mailboxes } from '../src/delivery/mailboxes.ts'
import type { Member } from '../src/delivery/member.ts'
import { type MessageStore, queueStore } from '../src/delivery/message-store.ts'
import { type NetworkLimits, NetworkTotals } from '../src/delivery/network-totals.ts'
import { type OtherCounters, QueueStats } from '../src/delivery/queue-stats.ts'
import type { ReceiptMode } from '../src/delivery/receipts.ts'
import { Releases } from '../src/delivery/releases.ts'
import { Strangers } from '../src/delivery/strangers.ts'
import { PROTOCOLS, type ProtocolName } from '../src/observability/metrics/catalogue.ts'
import type { RelayMetrics } from '../src/observability/metrics.ts'
import { forgetContacts } from '../src/store/contact.ts'
import { touchIdentities } from '../src/store/identity.ts'
import {
  type GoneEntry,
  MOST_DELIVERIES,
  mailboxContents,
  takeAllSlots,
  takePage,
  withholdMalformed
} from '../src/store/queue-entry.ts'
import { limitedLog } from '../src/util/limited-log.ts'
import { SteadyClock } from '../src/util/steady-clock.ts'

declare module 'fastify' {
  interface FastifyInstance {
    mailboxes: Mailboxes
    queueStats: QueueStats
    /** What the registered sessions of each protocol are attached to their mailboxes with. */
    attachments: Readonly<Record<ProtocolName, Attachments<Member>>>
  }
}

export interface ReceiptOptions {
  readonly mode: ReceiptMode
  /** Messages that a browser receipted by pong this long before its socket died are delivered again, in ms. */
  readonly graceMs: number
  readonly window: DeliveryWindow
}

export interface OfflineQueueOptions {
  readonly signaling: MailboxLimits
  readonly l2ps: MailboxLimits
  readonly daily: DailyLimits
  /** Of all mailboxes of a network together. */
  readonly networkLimits: NetworkLimits
  readonly receipts: ReceiptOptions
  /** Is the audit trail told of every message? */
  readonly isAudited: boolean
  /** How long a message may wait, in ms. */
  readonly ttlMs: number
  /** How long messages are kept for history, in ms. */
  readonly historyMs: number
  /** Sessions that may end without a receipt of a message before it is set aside; 0: it never is. */
  readonly maxDeliveries: number
  /** Sessions one L2PS key may have. */
  readonly sessionsPerPeer: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly sweepMs: number
}

/** How often the names of connected peers are noted as in use, and old messages are deleted from history, in ms. */
const HOURLY_MS = 3_600_000
/** Peers that are noted as in use in one statement: making it must not hold up the event loop. */
const TOUCHED_AT_ONCE = 5_000
/** How long it is remembered that one peer has written to another, in ms. */
const CONTACT_MS = 90 * 86_400_000
const SWEPT_AT_ONCE = 1_000
/** Rest between two polls of the age of the oldest waiting message, in ms. */
const STATS_REST_MS = 2_000

export default fp<OfflineQueueOptions>(
  async (app, options) => {
    const { database, presence, cluster, metrics, log } = app
    const { now } = options
    const entries = await takeAllSlots(database.sql)
    if (entries > 0) log.info({ entries }, 'messages of sessions that the last server left are counted as waiting')

    const floors = cluster === undefined ? new MailboxFloors() : undefined
    const counters = new MailboxCounters(floors)
    const releases = new Releases({ database, log })
    const limited = limitedLog(log) // for what messages cause
    const strangers = new Strangers(database, { log: limited })
    const recipients =
      cluster?.recipients(releases, strangers) ?? new ConnectedRecipients(presence, counters, releases, strangers)
    const stats = new QueueStats({ database, log, now, restMs: STATS_REST_MS, others: cluster && othersOf(cluster) })
    const contacts = new ContactNotes(database, { now, log: limited })
    const daily = new DailyBytes(options.daily)
    const totals = new NetworkTotals({ database, log, limits: options.networkLimits, restMs: STATS_REST_MS })
    const mailbox = (protocol: ProtocolName, store: MessageStore) =>
      new Mailbox({
        ...{ database, recipients, store, daily, totals, floors, now, log: limited, ...countsOf(metrics, protocol) },
        limits: options[protocol],
        stored: (entry) => {
          const { network, sender, recipient, bytes } = entry
          contacts.stored(entry)
          stats.stored(network, bytes)
          totals.stored(network, bytes)
          presence.met(network, sender, recipient)
        }
      })
    const left = (network: string, bytes: number) => {
      stats.left(network, bytes)
      totals.left(network, bytes)
    }
    const mailboxes = new Mailboxes({
      signaling: mailbox('signaling', queueStore(options)),
      l2ps: mailbox('l2ps', new HistoryStore(options)),
      tell: ({ network, recipient, seq }) => {
        for (const member of presence.sessions(network, recipient)) member.gone(seq)
      },
      tellOthers: (entries) => tellOthers(cluster, entries),
      ...{ releases, counters, left, database, now }
    })
    const parts = { counters, releases, left, floors }
    app.decorate('mailboxes', mailboxes)
    app.decorate('queueStats', stats)
    app.decorate('attachments', {
      signaling: attachmentsOf(app, 'signaling', parts, options),
      l2ps: attachmentsOf(app, 'l2ps', parts, options)
    })
    cluster?.on('gone', ({ entries }) =>
      mailboxes.goneElsewhere(entries.map(([seq, network, recipient, bytes]) => ({ seq, network, recipient, bytes })))
    )
    cluster?.on('reread', ({ network, recipient, seqs }) => {
      for (const { delivery } of presence.sessions(network, recipient)) delivery.reread(...seqs)
    })
    metrics.onRead(() => showQueues(metrics, mailboxes, stats, now()))
    sweep(app, options)
    app.addHook('onClose', async () => {
      stats.close()
      totals.close()
    })
  },
  { name: 'offline-queue', fastify: '5.x', dependencies: ['cluster', 'metrics'] }
)

/** Entries in one message to other relays. */
const TOLD_ENTRIES = 512

function tellOthers(cluster: Cluster | undefined, entries: readonly GoneEntry[]): void {
  for (let at = 0; cluster !== undefined && at < entries.length; at += TOLD_ENTRIES) {
    const told = entries.slice(at, at + TOLD_ENTRIES)
    cluster.tell({
      kind: 'gone',
      entries: told.map(({ seq, network, recipient, bytes }) => [seq, network, recipient, bytes])
    })
  }
}

/** One relay counts what waits, and says it to the others with its beats. */
function othersOf(cluster: Cluster): OtherCounters {
  return {
    isOurs: () => cluster.isHousekeeper,
    say: (latest) => {
      cluster.queues = latest
    },
    heard: (hear) => cluster.on('beat', ({ queues }) => hear(queues))
  }
}

interface Parts {
  readonly counters: MailboxCounters
  readonly releases: Releases
  /** An entry of so many bytes has left a mailbox of a network. */
  readonly left: (network: string, bytes: number) => void
  readonly floors: MailboxFloors | undefined
}

function attachmentsOf(
  app: FastifyInstance,
  protocol: ProtocolName,
  { counters, releases, left, floors }: Parts,
  options: OfflineQueueOptions
): Attachments<Member> {
  const { database, presence, cluster, sessions, metrics } = app
  const log = limitedLog(app.log)
  const { receipts, maxDeliveries, sessionsPerPeer, now } = options
  const mostDeliveries = maxDeliveries === 0 ? MOST_DELIVERIES : maxDeliveries - 1
  const contentsAfter = batched({
    ...{ database, work: mailboxContents },
    failed: (error, mailboxes) => log.warn({ err: error, mailboxes }, 'contents of mailboxes not read')
  })
  const withhold = batched({
    database,
    work: async (sql, seqs: readonly number[]) => {
      await withholdMalformed(sql, seqs)
      return seqs
    },
    failed: (error, entries) => log.warn({ err: error, entries }, 'entries that cannot be sent are not withheld yet')
  })
  return {
    ...receipts,
    withhold: (seq) => void withhold(seq),
    ...{ registry: presence, counters, releases, places: cluster?.places, sessionsPerPeer, now, log },
    clock: () => sessions.clock.now,
    contentsOf: async (box) => {
      const settled = floors?.settled ?? 0
      const contents = await contentsAfter({
        network: box.network,
        recipient: box.recipient,
        afterSeq: floors?.of(box) ?? 0
      })
      if (typeof contents === 'string') return contents
      floors?.saw(contents.lastSeq)
      floors?.wasRead(box, settled, contents.firstSeq)
      return contents
    },
    readPage: (box, page) => {
      const afterSeq = Math.max(page.afterSeq, floors?.of(box) ?? 0)
      return database.within(takePage(database.sql, box, { ...page, afterSeq, now: now(), mostDeliveries }))
    },
    left,
    counts: {
      delivered: metrics.delivered.by('receipt', { protocol }),
      redelivered: metrics.redelivered.at({ protocol }),
      deliverySeconds: metrics.deliverySeconds.at({ protocol }),
      roundTripSeconds: metrics.receiptSeconds.at({ protocol }),
      proxyPongs: metrics.proxyPongs.at({ protocol })
    }
  }
}

/** Starts the periodic tasks; they stop when the server closes. */
function sweep(app: FastifyInstance, { sweepMs, historyMs, now }: OfflineQueueOptions): void {
  const { database, mailboxes, presence, metrics, log } = app
  const clock = new SteadyClock(now)
  let wasSteady = true
  const isSteady = () => {
    const is = clock.isSteady()
    if (!is && wasSteady)
      log.warn('the clock of this machine has jumped: nothing expires until it was steady for an hour')
    wasSteady = is
    return is
  }
  const expire = async () => {
    if (!isSteady()) return
    const expired = await mailboxes.expire()
    metrics.expired.at().inc(expired)
    if (expired > 0) log.info({ entries: expired }, 'expired messages deleted')
  }
  const touch = async () => {
    const peers = [...presence.everyone()]
    for (let at = 0; at < peers.length; at += TOUCHED_AT_ONCE) {
      await database.within(touchIdentities(database.sql, peers.slice(at, at + TOUCHED_AT_ONCE)))
    }
  }
  const every = (ms: number, task: string, work: () => Promise<unknown>): NodeJS.Timeout => {
    let isRunning = false
    const run = async () => {
      if (isRunning) return
      isRunning = true
      await work().catch((error: unknown) => log.warn({ err: error, task }, 'background task failed'))
      isRunning = false
    }
    return setInterval(run, ms).unref()
  }
  const timers = [
    every(sweepMs, 'expiry sweep', expire),
    every(HOURLY_MS, 'touch', touch),
    every(HOURLY_MS, 'contacts sweep', async () => {
      const before = now() - CONTACT_MS
      while (isSteady() && (await database.within(forgetContacts(database.sql, before, SWEPT_AT_ONCE))) > 0);
    }),
    every(HOURLY_MS, 'history sweep', async () => {
      if (isSteady()) await mailboxes.forget(historyMs)
    })
  ]
  app.addHook('onClose', async () => {
    for (const timer of timers) clearInterval(timer)
  })
}

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
      batch: (items: number, seconds: number) => {
        groups.observe(items)
        commitSeconds.observe(seconds)
      }
    }
  }
}

function showQueues(metrics: RelayMetrics, mailboxes: Mailboxes, stats: QueueStats, now: number): void {
  const secondsSince = (ms: number) => Math.max(0, now - ms) / 1_000
  const latest = stats.latest()
  // In a cluster the relay that counts shows them: the others would have a dashboard count them twice.
  const shown = stats.isOurs ? latest : undefined
  metrics.queueFiguresAge.at().value = shown && secondsSince(shown.asOf)
  for (const protocol of PROTOCOLS) {
    metrics.commitWaiting.at({ protocol }).value = mailboxes[protocol].waiting
    if (latest === undefined) continue
    const oldest = shown?.[protocol].oldestAcceptedAt
    metrics.queueEntries.at({ protocol }).value = shown?.[protocol].entries
    metrics.queueBytes.at({ protocol }).value = shown?.[protocol].bytes
    metrics.queueOldestAge.at({ protocol }).value = shown && (oldest === undefined ? 0 : secondsSince(oldest))
  }
}
