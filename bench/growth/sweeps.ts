// Retention, and pages of old conversations, by the functions of the store: rows a second.
import { Pool, type Sql } from '../../src/database/pool.ts'
import { deleteOldMessages, readHistory } from '../../src/store/message.ts'
import { expireEntries } from '../../src/store/queue-entry.ts'
import { BENCH_NETWORK } from '../protocols/l2ps.ts'
import { HISTORY_MS, OF_A_CONVERSATION, WAITING_MS } from './fill.ts'

/** As the relay does it. */
const SWEPT_AT_ONCE = 1_000
const PAGE = 50
const PAGE_BYTES = 4_000_000
const ignore = () => {}
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** Deletes the oldest `count` messages of history; messages a second. */
export function sweepHistory(url: string, count: number, messages: number): Promise<number> {
  return timed(url, count, async (sql) => {
    const [oldest] = await sql<{ at: number }[]>`select sent_at as at from message order by seq limit 1`
    const before = oldest!.at + count * (HISTORY_MS / messages)
    let deleted = 0
    for (let afterSeq = 0; ; ) {
      const step = await deleteOldMessages(sql, before, afterSeq, SWEPT_AT_ONCE)
      if (step === undefined) return deleted
      afterSeq = step.lastSeq
      deleted += step.deleted
    }
  })
}

/** Expires the oldest `count` messages that wait; messages a second. */
export function sweepExpired(url: string, count: number, queued: number): Promise<number> {
  return timed(url, count, async (sql) => {
    const [oldest] = await sql<{ at: number }[]>`
      select min(expires_at) as at from queue_entry where network = 'signaling'`
    const now = oldest!.at + count * (WAITING_MS / queued)
    let expired = 0
    for (;;) {
      const gone = await expireEntries(sql, now, SWEPT_AT_ONCE)
      expired += gone.length
      if (gone.length < SWEPT_AT_ONCE) return expired
    }
  })
}

/** Reads old conversations whole, whose rows lie far apart; messages a second. */
export function readOld(url: string, conversations: number): Promise<number> {
  return timed(url, conversations * OF_A_CONVERSATION, async (sql) => {
    const some = await sql<{ id: string; reader: string; other: string }[]>`
      select conversation as id, sender as reader, recipient as other from message
      where seq <= ${conversations * 7} and seq % 7 = 0`
    let read = 0
    for (const { id, reader, other } of some) {
      const conversation = { id, network: BENCH_NETWORK, reader, readerKey: reader, otherKey: other }
      for (let before: number | undefined, hasMore = true; hasMore; ) {
        const page = await readHistory(sql, conversation, { before, limit: PAGE, maxBytes: PAGE_BYTES })
        const messages: { timestamp: number }[] = JSON.parse(`[${page.messages}]`)
        before = messages.at(-1)?.timestamp
        hasMore = page.hasMore
        read += messages.length
      }
    }
    return read
  })
}

/** `expected`: so many rows must have been handled, give or take the first and the last. */
async function timed(url: string, expected: number, work: (sql: Sql) => Promise<number>): Promise<number> {
  const pool = new Pool({ url, size: 1, statementMs: 60_000, log })
  try {
    const began = performance.now()
    const rows = await work(pool.sql)
    if (Math.abs(rows - expected) > 0.05 * expected) throw new Error(`${rows} of ${expected} rows were handled`)
    return (rows * 1_000) / (performance.now() - began)
  } finally {
    await pool.end(1_000)
  }
}
