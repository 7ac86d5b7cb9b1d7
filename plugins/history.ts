// plugins/history.ts: a row a minute of how the relay does, for the charts of the console.
import fp from 'fastify-plugin'
import { sumUpSessions } from '../src/delivery/session-stats.ts'
import { difference, readTotals } from '../src/observability/minute-stats.ts'
import { trimAdminEvents } from '../src/store/admin-event.ts'
import { trimMinutes, writeMinute } from '../src/store/stats-minute.ts'

export interface HistoryOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** The name of this relay, where there are several. */
  readonly relay?: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Writes the row of the present minute now; a timer does it at the end of each. */
    writeMinute: () => Promise<void>
  }
}

const MINUTE_MS = 60_000
/** Minutes that are kept: a week. */
const KEPT_MINUTES = 7 * 24 * 60
/** Events of administrators that are kept. */
const KEPT_EVENTS = 100_000

export default fp<HistoryOptions>(
  async (app, { now, relay = '' }) => {
    const { metrics, sessions, presence, queueStats, eventLoop, database, log } = app
    let last = await readTotals(metrics)
    const write = async () => {
      const minute = Math.floor(now() / MINUTE_MS)
      const totals = await readTotals(metrics)
      const { signaling, l2ps } = sumUpSessions(sessions.all(), sessions.clock.now)
      const latest = queueStats.latest()
      const row = {
        ...difference(last, totals),
        sessions: signaling.registered + l2ps.registered,
        peers: [...presence.everyone()].length,
        waiting: latest === undefined ? 0 : latest.signaling.entries + latest.l2ps.entries,
        waitingBytes: latest === undefined ? 0 : latest.signaling.bytes + latest.l2ps.bytes,
        lagP99: eventLoop.read().lagP99Ms
      }
      await database.within(writeMinute(database.sql, minute, relay, row))
      last = totals // what could not be written is in the next row
      await database.within(trimMinutes(database.sql, minute - KEPT_MINUTES))
      await database.within(trimAdminEvents(database.sql, KEPT_EVENTS))
    }
    app.decorate('writeMinute', write)
    let timer: NodeJS.Timeout | undefined
    const wait = () => {
      timer = setTimeout(writeAndWait, MINUTE_MS - (now() % MINUTE_MS)).unref()
    }
    const writeAndWait = async () => {
      await write().catch((error: unknown) => log.debug({ err: error }, 'minute of history not written'))
      wait()
    }
    app.addHook('onReady', async () => wait())
    app.addHook('onClose', async () => clearTimeout(timer))
  },
  { name: 'history', fastify: '5.x', dependencies: ['database', 'metrics', 'offline-queue', 'presence'] }
)
