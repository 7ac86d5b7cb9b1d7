// What history keeps too long is found by the primary key, a bounded number of rows at a time.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../src/database/database.ts'
import type { Sql } from '../../src/database/pool.ts'
import { Mailboxes } from '../../src/delivery/mailboxes.ts'
import { deleteOldMessages } from '../../src/store/message.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { explainedSql } from '../helpers/plans.ts'
import { silentLog } from '../helpers/test-cluster.ts'

/** How long history is kept here, in ms. */
const RETENTION = 1_000_000
const ROUNDS = 5
/** Messages of one round: they span 1.6 retention periods. */
const EACH = 4_000
const ROUND_MS = 1.6 * RETENTION
const LIMIT = 500

/** Messages sent evenly in the `ms` before `until`. */
async function send(sql: Sql, count: number, until: number, ms: number): Promise<void> {
  await sql`
    insert into message (id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
    select gen_random_uuid(), gen_random_uuid(), 'n', 's', 'r', n::text, '"s"', 3,
      ${until}::bigint - ${Math.round(ms)}::bigint + ceil(n * ${ms}::float8 / ${count}::int)::bigint
    from generate_series(1, ${count}::int) as n`
}

/** Where messages stand in the order of acceptance, from 1; the young ones are a part of them. */
const placed = (sql: Sql) => sql`(select *, row_number() over (order by seq) as place from message) as m`

/** The messages of these places wait for their recipient. */
const putIntoMailbox = (sql: Sql, from: number, to: number) => sql`
  insert into queue_entry (seq, network, sender, recipient, size_bytes, slot, accepted_at, expires_at)
  select seq, network, sender, recipient, size_bytes, false, sent_at, sent_at + 1 from ${placed(sql)}
  where place between ${from} and ${to}`

/** The messages of these places wait for their records. */
const putIntoInbox = (sql: Sql, from: number, to: number) => sql`
  insert into audit_inbox (network, count, message_seqs, accepted_at)
  select 'n', count(*), array_agg(seq order by seq), array_agg(sent_at order by seq) from ${placed(sql)}
  where place between ${from} and ${to}`

const seqsOf = async (sql: Sql) =>
  (await sql<{ seq: number }[]>`select seq from message order by seq`).map(({ seq }) => seq)

/** A server's mailboxes, as far as history goes, with a clock that a test sets. */
async function openMailboxes(t: TestContext, url: string, clock: { now: number }): Promise<Mailboxes> {
  const database = await openDatabase({ url, dataDir: '', poolSize: 2, deadlineMs: 20_000 }, silentLog)
  t.after(() => database.close())
  const nothing = undefined as never
  return new Mailboxes({
    ...{ signaling: nothing, l2ps: nothing, releases: nothing, counters: nothing, left: nothing, tell: nothing },
    tellOthers: nothing,
    ...{ database, now: () => clock.now }
  })
}

/** Sends messages and forgets the old ones, for several retention periods. */
async function churn(sql: Sql, mailboxes: Mailboxes, clock: { now: number }): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    clock.now += ROUND_MS
    await send(sql, EACH, clock.now, ROUND_MS)
    await mailboxes.forget(RETENTION)
    const [left] = await sql<{ old: number; all: number }[]>`
      select count(*) filter (where sent_at < ${clock.now - RETENTION}) as old, count(*) as all from message`
    assert.deepEqual({ ...left }, { old: 0, all: EACH / 1.6 + 1 })
  }
  await sql`analyze message`
}

async function openChurned(t: TestContext) {
  const database = await createTestDatabase(t)
  const clock = { now: 10 * RETENTION }
  const mailboxes = await openMailboxes(t, database.url, clock)
  await churn(database.sql, mailboxes, clock)
  return { ...database, clock, mailboxes }
}

test('a step of a sweep reads by the primary key, and no more messages than its limit', async (t) => {
  const { url, sql, clock } = await openChurned(t)
  await putIntoMailbox(sql, 1, 100)
  const explained = await explainedSql(t, url)
  clock.now += ROUND_MS
  let afterSeq = 0
  for (const deleted of [LIMIT - 100, LIMIT, LIMIT]) {
    const plan = await explained.plansOf(async () => {
      const step = await deleteOldMessages(explained.sql, clock.now - RETENTION, afterSeq, LIMIT)
      assert.equal(step?.deleted, deleted)
      afterSeq = step!.lastSeq
    })
    const reads = plan.filter(
      ({ type, table }) => /Scan/.test(type) && (table === 'message' || table === 'queue_entry')
    )
    assert.ok(reads.length >= 2 && reads.every(({ type }) => /^(Bitmap )?Index |^Bitmap Heap/.test(type)), show(plan))
    const ofMessages = reads.filter(({ table }) => table === 'message')
    assert.ok(ofMessages.length > 0 && ofMessages.every(({ index }) => index === 'message_pkey'), show(plan))
    assert.ok(
      plan.every(({ table, rows }) => table === undefined || rows <= LIMIT),
      show(plan)
    )
  }
})

test('after a sweep, only young messages are left', async (t) => {
  const { sql, clock, mailboxes } = await openChurned(t)
  clock.now += RETENTION - ROUND_MS / EACH
  await mailboxes.forget(RETENTION)
  assert.equal((await seqsOf(sql)).length, 2)
  clock.now += ROUND_MS
  await mailboxes.forget(RETENTION)
  assert.deepEqual(await seqsOf(sql), [])
})

test('that a message was given up is forgotten with it, and not before', async (t) => {
  const { sql, clock, mailboxes } = await openChurned(t)
  await sql`insert into given_up (seq, reason) select seq, 'expired' from message`
  clock.now += RETENTION - ROUND_MS / EACH
  await mailboxes.forget(RETENTION)
  const seqs = await seqsOf(sql)
  assert.equal(seqs.length, 2)
  const noted = await sql<{ seq: number }[]>`select seq from given_up order by seq`
  assert.deepEqual(
    noted.map(({ seq }) => seq),
    seqs
  )
})

test('old messages that wait for their recipient stay, and a sweep goes past them and ends', async (t) => {
  const { sql, clock, mailboxes } = await openChurned(t)
  clock.now += ROUND_MS
  await send(sql, EACH, clock.now, ROUND_MS)
  const all = await seqsOf(sql)
  await putIntoMailbox(sql, 1, 2_200) // more than two steps find nothing to delete
  await putIntoMailbox(sql, 2_400, 2_400)
  const young = all.slice(-(EACH / 1.6 + 1))
  const waiting = [...all.slice(0, 2_200), all[2_399]!]
  for (const _sweep of ['first', 'second']) {
    await mailboxes.forget(RETENTION)
    assert.deepEqual(await seqsOf(sql), [...waiting, ...young])
  }
  await sql`delete from queue_entry`
  await mailboxes.forget(RETENTION)
  assert.deepEqual(await seqsOf(sql), young)
})

test('old messages that wait for their records stay, and what was sent before them goes', async (t) => {
  const { sql, clock, mailboxes } = await openChurned(t)
  const all = await seqsOf(sql)
  await putIntoInbox(sql, 1_201, 1_300)
  await putIntoInbox(sql, 1_301, 1_400)
  clock.now += 2 * ROUND_MS
  for (const _sweep of ['first', 'second']) {
    await mailboxes.forget(RETENTION)
    assert.deepEqual(await seqsOf(sql), all.slice(1_200))
  }
  await sql`delete from audit_inbox where message_seqs[1] = ${all[1_200]!}`
  await mailboxes.forget(RETENTION)
  assert.deepEqual(await seqsOf(sql), all.slice(1_300))
  await sql`delete from audit_inbox`
  await mailboxes.forget(RETENTION)
  assert.deepEqual(await seqsOf(sql), [])
})

const show = (plan: unknown) => JSON.stringify(plan, null, 1)
