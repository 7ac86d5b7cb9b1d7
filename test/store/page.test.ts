// Reading a mailbox costs what it holds, whatever Postgres believes the table to hold.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Pool, type Sql } from '../../src/database/pool.ts'
import { insertEntries, mailboxContents, takePage } from '../../src/store/queue-entry.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const MAILBOXES = 50
const EACH = 100
const NOW = 1_000_000

/** Rows of mailboxes looked up by an index so far, on the one connection there is. */
async function rowsRead(sql: Sql): Promise<number> {
  await sql`select pg_stat_force_next_flush()` // Postgres would count them some seconds later
  const [row] = await sql<{ rows: number }[]>`
    select sum(idx_tup_read)::bigint as rows from pg_stat_user_indexes where relname = 'queue_entry'`
  return row!.rows
}

async function fill(sql: Sql): Promise<void> {
  const entries = Array.from({ length: MAILBOXES * EACH }, (_, place) => ({
    ...{ seq: 0, network: 'n', sender: 's', recipient: `r${place % MAILBOXES}`, digest: null, sealed: '"s"', bytes: 3 },
    ...{ keyId: null, slot: false, acceptedAt: NOW, deliveries: 0 }
  }))
  await insertEntries(sql, entries, { isAudited: false, ttlMs: 1_000 })
}

const page = (sql: Sql, known: readonly number[] = []) =>
  takePage(
    sql,
    { network: 'n', recipient: 'r7', keyId: null },
    { afterSeq: 0, known, limit: 2 * EACH, maxBytes: 1_000_000, now: NOW, mostDeliveries: 9 }
  )

/** A database whose mailboxes are full, while Postgres believes that there are none. */
async function forgottenMailboxes(t: TestContext): Promise<Sql> {
  const { url } = await createTestDatabase(t)
  const pool = new Pool({ url, size: 1, statementMs: 30_000, log: silentLog })
  t.after(() => pool.end(1_000))
  const { sql } = pool
  await fill(sql)
  await sql`delete from queue_entry`
  await sql`vacuum (analyze) queue_entry` // as autovacuum does when a backlog has been received
  await mailboxContents(sql, [{ network: 'n', recipient: 'r1', afterSeq: 0 }]) // planned now, and not again
  await page(sql)
  await fill(sql)
  return sql
}

test('a page is read from its own mailbox alone, also when Postgres believes there is none', async (t) => {
  const sql = await forgottenMailboxes(t)
  const before = await rowsRead(sql)
  assert.equal((await page(sql)).length, EACH)
  const rows = (await rowsRead(sql)) - before
  assert.ok(rows >= EACH && rows <= 2 * EACH, `${rows} rows were read for a page of ${EACH}`)
})

test('what mailboxes hold is read from them alone', async (t) => {
  const sql = await forgottenMailboxes(t)
  const boxes = ['r1', 'nobody', 'r2', 'r1', 'two\nlines', 'r49'].map((recipient) => ({
    ...{ network: 'n', recipient, afterSeq: 0 }
  }))
  const before = await rowsRead(sql)
  const contents = await mailboxContents(sql, boxes)
  assert.deepEqual(
    contents.map(({ entries, bytes }) => [entries, bytes]),
    [100, 0, 100, 100, 0, 100].map((entries) => [entries, 3 * entries])
  )
  const [last] = await sql`select max(seq) as seq from queue_entry where recipient = 'r49'`
  assert.equal(contents.at(-1)?.lastSeq, last!.seq)
  const [none] = await mailboxContents(sql, [{ network: 'another', recipient: 'r1', afterSeq: 0 }])
  assert.deepEqual(none, { entries: 0, bytes: 0, firstSeq: 0, lastSeq: 0 })
  const half = contents[0]!.firstSeq + (contents[0]!.lastSeq - contents[0]!.firstSeq) / 2
  const [rest] = await mailboxContents(sql, [{ network: 'n', recipient: 'r1', afterSeq: Math.floor(half) }])
  assert.ok(rest!.firstSeq > half && rest!.entries < EACH, 'what is before a place is not read')
  const rows = (await rowsRead(sql)) - before
  assert.ok(rows >= 4 * EACH && rows <= 6 * EACH, `${rows} rows were read for four mailboxes of ${EACH}`)
})
