// plugins/offline-queue.ts — the mailbox: keeps sealed messages until their recipient has them.
import fp from 'fastify-plugin'
import { Mailbox, type MailboxLimits } from '../src/mailbox/mailbox.ts'
import { touchIdentities } from '../src/store/identity.ts'

declare module 'fastify' {
  interface FastifyInstance {
    mailbox: Mailbox
  }
}

export interface OfflineQueueOptions {
  readonly limits: MailboxLimits
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly sweepMs: number
}

/** How often the names of connected peers are noted as in use, in ms. */
const TOUCH_MS = 3_600_000

export default fp<OfflineQueueOptions>(
  async (app, { limits, now, sweepMs }) => {
    const mailbox = new Mailbox({ database: app.database, recipients: app.presence, limits, now, log: app.log })
    app.decorate('mailbox', mailbox)
    app.metrics.gauge('commit_waiting_messages', 'Messages waiting for a group commit.', () => mailbox.waiting)

    const sweep = async () => {
      const expired = await mailbox.expire()
      app.metrics.expired.inc(expired)
      if (expired > 0) app.log.info({ entries: expired }, 'expired messages deleted')
    }
    const touch = () => {
      const { database, presence } = app
      return database.within(touchIdentities(database.sql, [...presence.everyone()]))
    }
    const timers = [every(sweepMs, 'expiry sweep', sweep), every(TOUCH_MS, 'touch', touch)]
    app.addHook('onClose', async () => {
      for (const timer of timers) clearInterval(timer)
    })

    function every(ms: number, task: string, work: () => Promise<unknown>): NodeJS.Timeout {
      let isRunning = false
      return setInterval(async () => {
        if (isRunning) return
        isRunning = true
        await work().catch((error: unknown) => app.log.warn({ err: error, task }, 'background task failed'))
        isRunning = false
      }, ms).unref()
    }
  },
  { name: 'offline-queue', fastify: '5.x', dependencies: ['database', 'presence', 'metrics'] }
)
