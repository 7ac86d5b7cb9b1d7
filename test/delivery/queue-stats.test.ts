// How much waits is known at any time: a slow count of a long queue holds nothing up.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Database, Sql } from '../../src/database/database.ts'
import { QueueStats } from '../../src/delivery/queue-stats.ts'
import { oldestInQueue } from '../../src/store/mailbox-overview.ts'
import { expireEntries, insertEntries } from '../../src/store/queue-entry.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { explainedSql } from '../helpers/plans.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

const NOW = 1_000_000
/** The pause between two counts is at least this long, in ms. */
const COUNT_MS = 600_000

/** Stores messages of 3 bytes, each accepted one ms after the other. */
const store = (sql: Sql, network: string, count: number, acceptedAt = NOW) =>
  insertEntries(
    sql,
    Array.from({ length: count }, (_, place) => ({
      ...{ seq: 0, network, sender: 's', recipient: `r${place % 7}`, digest: null, sealed: '"s"', bytes: 3 },
      ...{ keyId: null, slot: false, acceptedAt: acceptedAt + place, deliveries: 0 }
    })),
    { isAudited: false, ttlMs: 1_000 }
  )

/** Statistics whose counts end when the test says so, with what was counted before, and begin again when it says so. */
async function openStats(t: TestContext, prepare: (sql: Sql) => Promise<unknown>) {
  const { sql } = await createTestDatabase(t)
  await prepare(sql)
  const held: (() => void)[] = []
  const within: Database['within'] = async (query, ms) => {
    const result = await query
    if (ms !== undefined) await new Promise<void>((resolve) => held.push(resolve)) // only a count has a limit of its own
    return result
  }
  const pauses: (() => void)[] = []
  const { setTimeout } = globalThis
  t.mock.method(globalThis, 'setTimeout', (run: () => void, ms: number, ...rest: unknown[]) => {
    if (ms >= COUNT_MS) pauses.push(run)
    return setTimeout(run, ms, ...rest)
  })
  const stats = new QueueStats({ database: { sql, within }, log: silentLog, now: () => NOW, restMs: 1 })
  t.after(() => stats.close())
  await until('a count', () => held.length > 0)
  return {
    ...{ sql, stats },
    /** The count under way ends; resolves when the statistics have it. */
    endCount: async () => {
      const known = pauses.length
      held.shift()!()
      await until('the pause after a count', () => pauses.length > known)
    },
    /** The next count begins; resolves when it has counted and is held. */
    beginCount: async () => {
      pauses.at(-1)!()
      await until('a count', () => held.length > 0)
    }
  }
}

const sumsOf = (stats: QueueStats) => {
  const latest = stats.latest()
  assert.ok(latest)
  return (['signaling', 'l2ps'] as const).map((protocol) => [latest[protocol].entries, latest[protocol].bytes])
}

test('sums are there from the first count on, and follow what is stored and what leaves while a count is slow', async (t) => {
  const { stats, endCount, beginCount } = await openStats(t, async (sql) => {
    await store(sql, 'signaling', 5)
    await store(sql, 'net', 20)
  })
  assert.equal(stats.latest(), undefined)
  stats.stored('signaling', 10)
  await endCount()
  await until('the age of the oldest message', () => stats.latest())
  assert.deepEqual(sumsOf(stats), [
    [6, 25],
    [20, 60]
  ])

  await beginCount() // it finds the 5 and 20 messages again
  stats.stored('net', 7)
  stats.left('signaling', 3)
  assert.deepEqual(sumsOf(stats), [
    [5, 22],
    [21, 67]
  ])
  stats.left('net', 7)
  assert.deepEqual(sumsOf(stats), [
    [5, 22],
    [20, 60]
  ])
})

test('a count corrects sums that have drifted, and keeps what was stored and what left meanwhile', async (t) => {
  const { sql, stats, endCount, beginCount } = await openStats(t, (sql) => store(sql, 'net', 20))
  await endCount()
  await until('the age of the oldest message', () => stats.latest())
  await sql`delete from queue_entry where recipient = 'r0'` // three messages, of which the statistics do not hear
  for (let times = 0; times < 25; times++) stats.left('signaling', 3)
  assert.deepEqual(sumsOf(stats), [
    [0, 0],
    [20, 60]
  ])

  await beginCount()
  stats.stored('signaling', 4)
  stats.left('net', 3)
  await endCount()
  assert.deepEqual(sumsOf(stats), [
    [1, 4],
    [16, 48]
  ])
})

test('the oldest message of each protocol is known while a count is slow', async (t) => {
  const { sql, stats, endCount, beginCount } = await openStats(t, async (sql) => {
    await store(sql, 'signaling', 5, NOW - 500)
    await store(sql, 'net', 5, NOW - 300)
    await store(sql, 'another', 5, NOW - 400)
  })
  await endCount()
  await until('the age of the oldest message', () => stats.latest())
  await beginCount()
  const oldest = () => {
    const latest = stats.latest()!
    return [latest.signaling.oldestAcceptedAt, latest.l2ps.oldestAcceptedAt]
  }
  assert.deepEqual(oldest(), [NOW - 500, NOW - 400])
  await sql`delete from queue_entry where network in ('another', 'signaling')`
  await until('no message of signaling', () => oldest()[0] === undefined)
  assert.deepEqual(oldest(), [undefined, NOW - 300])
})

const EXPIRY = ['queue_entry_expiry_signaling_idx', 'queue_entry_expiry_l2ps_idx']

for (const isAnalyzed of [false, true]) {
  const state = isAnalyzed ? 'that Postgres knows to be long' : 'that Postgres believes to be empty'
  test(`in a queue ${state}, the oldest messages are one step into an index, and the expired ones a walk along it`, async (t) => {
    const { url, sql } = await createTestDatabase(t)
    const explained = await explainedSql(t, url)
    await sql`vacuum (analyze) queue_entry`
    await oldestInQueue(explained.sql) // planned now, and unless Postgres looks at the table again, for good
    await expireEntries(explained.sql, 0, 1)
    await store(sql, 'net', 3_000)
    await store(sql, 'signaling', 2_000)
    if (isAnalyzed) await sql`analyze queue_entry`

    const readsOf = async (work: () => PromiseLike<unknown>, scan: RegExp) =>
      (await explained.plansOf(work))
        .filter(({ table, type }) => table === 'queue_entry' && scan.test(type))
        .map(({ type, index, rows }) => [type, index, rows])
    const oldest = await readsOf(async () => {
      assert.deepEqual(await oldestInQueue(explained.sql), { signaling: NOW, l2ps: NOW })
    }, /Scan/)
    assert.deepEqual(
      oldest,
      EXPIRY.map((index) => ['Index Scan', index, 1])
    )
    const nothing = await readsOf(() => expireEntries(explained.sql, NOW, 100), /^Index Scan$/)
    assert.deepEqual(
      nothing.slice(0, 2),
      EXPIRY.map((index) => ['Index Scan', index, 0])
    )
    const expired = await readsOf(async () => {
      assert.equal((await expireEntries(explained.sql, NOW + 1_000 + 999, 100)).length, 200)
    }, /^Index Scan$/)
    assert.deepEqual(
      expired.slice(0, 2),
      EXPIRY.map((index) => ['Index Scan', index, 100])
    )
  })
}
