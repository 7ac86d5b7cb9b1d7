// plugins/offline-queue.ts — the mailboxes: keep sealed messages until their recipients have them.
import fp from 'fastify-plugin'
import { HistoryShelf } from '../src/l2ps/history-shelf.ts'
import { Mailbox, type MailboxLimits } from '../src/mailbox/mailbox.ts'
import { Mailboxes } from '../src/mailbox/mailboxes.ts'
import { passingShelf, type Shelf } from '../src/mailbox/shelf.ts'
import { touchIdentities } from '../src/store/identity.ts'

declare module 'fastify' {
  interface FastifyInstance {
    mailboxes: Mailboxes
  }
}

export interface OfflineQueueOptions {
  readonly signaling: MailboxLimits
  readonly l2ps: MailboxLimits
  /** How long messages are kept for history, in ms. */
  readonly historyMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly sweepMs: number
}

/** How often the names of connected peers are noted as in use, and history is looked through, in ms. */
const HOURLY_MS = 3_600_000

export default fp<OfflineQueueOptions>(
  async (app, { signaling, l2ps, historyMs, now, sweepMs }) => {
    const { database, presence, metrics, log } = app
    const mailbox = (shelf: Shelf, limits: MailboxLimits) =>
      new Mailbox({ database, recipients: presence, shelf, limits, now, log })
    const mailboxes = new Mailboxes({
      signaling: mailbox(passingShelf, signaling),
      l2ps: mailbox(new HistoryShelf(), l2ps),
      database,
      now
    })
    app.decorate('mailboxes', mailboxes)
    const waiting = () => mailboxes.signaling.waiting + mailboxes.l2ps.waiting
    metrics.gauge('commit_waiting_messages', 'Messages waiting for a group commit.', waiting)

    const sweep = async () => {
      const expired = await mailboxes.expire()
      metrics.expired.inc(expired)
      if (expired > 0) log.info({ entries: expired }, 'expired messages deleted')
    }
    const touch = () => database.within(touchIdentities(database.sql, [...presence.everyone()]))
    const timers = [
      every(sweepMs, 'expiry sweep', sweep),
      every(HOURLY_MS, 'touch', touch),
      every(HOURLY_MS, 'history sweep', () => mailboxes.forget(historyMs))
    ]
    app.addHook('onClose', async () => {
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
