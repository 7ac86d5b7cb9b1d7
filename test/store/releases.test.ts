// Entries leave their mailbox by receipt, by expiry or by purge; whoever comes first, their quotas are given back once.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Pool } from '../../src/database/pool.ts'
import { purgeEntries } from '../../src/store/purge.ts'
import { expireEntries, insertEntries, type QueueEntry, releaseEntries } from '../../src/store/queue-entry.ts'
import { takeSlots } from '../../src/store/quota.ts'
import { wrongQuotas } from '../chaos/database-check.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const NOW = 1_000_000
const STORED = { isAudited: false, ttlMs: 9 }
const seqsOf = (entries: readonly QueueEntry[]) => entries.map(({ seq }) => seq)
const SENDERS = ['a', 'b', 'c']
const RECIPIENTS = ['x', 'y', 'z']

/** Entries of several senders to several recipients, all past their time; every fifth holds no slot. */
const entries = (count: number): QueueEntry[] =>
  Array.from({ length: count }, (_, place) => ({
    ...{ seq: 0, network: 'n', digest: null, sealed: '"s"', bytes: 3 + (place % 7), keyId: null },
    sender: SENDERS[place % SENDERS.length]!,
    recipient: RECIPIENTS[(place >> 2) % RECIPIENTS.length]!,
    ...{ slot: place % 5 !== 0, acceptedAt: NOW - 10, deliveries: 0 }
  }))

async function store({ sql }: TestDatabase, count: number): Promise<QueueEntry[]> {
  return sql.begin(async (tx) => {
    const stored = await insertEntries(tx, entries(count), STORED)
    const slotted = stored.filter(({ slot }) => slot)
    await takeSlots(tx, slotted)
    return stored
  }) as Promise<QueueEntry[]>
}

async function assertEmpty(t: TestContext, { sql }: TestDatabase): Promise<void> {
  assert.deepEqual(await wrongQuotas(sql as never), [])
  const [left] = await sql`
    select (select count(*)::int from queue_entry) as entries, sum(entries)::int as counted, sum(bytes)::int as bytes
    from quota`
  assert.deepEqual({ ...left }, { entries: 0, counted: 0, bytes: 0 })
  t.diagnostic('no entry and no count is left')
}

test('receipts and sweeps that meet give every entry and its quota back exactly once', async (t) => {
  const database = await createTestDatabase(t)
  for (let round = 0; round < 5; round++) {
    const stored = await store(database, 300)
    const { sql } = database
    const released = await Promise.all([
      releaseEntries(sql, seqsOf(stored.slice(0, 200))),
      expireEntries(sql, NOW, 120).then(({ length }) => length),
      releaseEntries(sql, seqsOf(stored.slice(100))),
      expireEntries(sql, NOW, 120).then(({ length }) => length),
      releaseEntries(sql, seqsOf(stored.toReversed()))
    ])
    const swept = (await expireEntries(sql, NOW, 1_000)).length
    assert.equal(
      released.reduce((sum, count) => sum + count, swept),
      300
    )
  }
  await assertEmpty(t, database)
})

test('a release that comes twice gives nothing back the second time', async (t) => {
  const database = await createTestDatabase(t)
  const stored = await store(database, 30)
  assert.equal(await releaseEntries(database.sql, seqsOf(stored)), 30)
  assert.equal(await releaseEntries(database.sql, seqsOf(stored)), 0)
  assert.deepEqual(await expireEntries(database.sql, NOW, 100), [])
  await assertEmpty(t, database)
})

test('entries of a table that Postgres believes to be empty are deleted within the deadline of a query', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  await sql.begin((tx) => insertEntries(tx, entries(8_000), STORED))
  await sql`delete from queue_entry`
  await sql`analyze queue_entry` // as autovacuum does when a backlog has been received
  const stored = (await insertEntries(sql, entries(8_000), STORED)).map((entry) => ({ ...entry, slot: false }))
  await sql`update queue_entry set slot = false`
  const pool = new Pool({ url, size: 2, statementMs: 5_000, log: silentLog })
  t.after(() => pool.end(1_000))
  assert.equal(await releaseEntries(pool.sql, seqsOf(stored.slice(0, 3_000))), 3_000)
  assert.equal((await purgeEntries(pool.sql, { network: 'n' }, 2_000, NOW)).length, 2_000)
  assert.equal((await expireEntries(pool.sql, NOW, 10_000)).length, 3_000)
})
