// Messages take and give back their places in the quotas whatever ends, expires, is received or is purged at once.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { Pool, type Sql } from '../../src/database/pool.ts'
import { purgeEntries } from '../../src/store/purge.ts'
import {
  expireEntries,
  insertEntries,
  MOST_DELIVERIES,
  noteEnded,
  type QueueEntry,
  releaseEntries,
  takeAllSlots
} from '../../src/store/queue-entry.ts'
import { takeSlots } from '../../src/store/quota.ts'
import { wrongQuotas } from '../chaos/database-check.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { explainedSql } from '../helpers/plans.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const NOW = 1_000_000
const TTL_MS = 10
const SENDERS = ['a', 'b', 'c']
const RECIPIENTS = ['x', 'y', 'z']
const CONNECTIONS = 6

const box = (recipient: string) => ({ network: 'n', recipient })

/** Entries in turn from each sender to each recipient: every third holds a slot, every second is past its time. */
const entries = (count: number, mailboxes = RECIPIENTS): QueueEntry[] =>
  Array.from({ length: count }, (_, place) => ({
    ...{ seq: 0, network: 'n', digest: null, sealed: '"s"', bytes: 3 + (place % 7), keyId: null, deliveries: 0 },
    sender: SENDERS[place % SENDERS.length]!,
    recipient: mailboxes[(place >> 2) % mailboxes.length]!,
    ...{ slot: place % 3 === 0, acceptedAt: NOW - (place % 2) * TTL_MS }
  }))

/** Stores entries as a mailbox does: their slots are counted in the same transaction. */
async function store(sql: Sql, count: number): Promise<number[]> {
  return sql.begin(async (tx) => {
    const given = entries(count)
    const slotted = given.filter(({ slot }) => slot)
    await takeSlots(tx, slotted)
    const stored = await insertEntries(tx, given, { isAudited: false, ttlMs: TTL_MS })
    return stored.map(({ seq }) => seq)
  }) as Promise<number[]>
}

/** What may happen to mailboxes; `from` and `to` say to which of the places that are known. */
type Step =
  | { readonly kind: 'store'; readonly count: number }
  | { readonly kind: 'release'; readonly from: number; readonly to: number }
  | { readonly kind: 'end'; readonly recipients: string[]; readonly isLast: boolean; from: number; to: number }
  | { readonly kind: 'expire'; readonly limit: number }
  | { readonly kind: 'purge'; readonly recipient: string | undefined; readonly limit: number }

const share = { from: fc.nat({ max: 100 }), to: fc.nat({ max: 100 }) }
const limit = fc.integer({ min: 1, max: 40 })
const recipients = fc.uniqueArray(fc.constantFrom(...RECIPIENTS, 'nobody'), { minLength: 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('store' as const), count: fc.integer({ min: 1, max: 40 }) }),
  { arbitrary: fc.record({ kind: fc.constant('release' as const), ...share }), weight: 2 },
  {
    arbitrary: fc.record({ kind: fc.constant('end' as const), recipients, isLast: fc.boolean(), ...share }),
    weight: 3
  },
  fc.record({ kind: fc.constant('expire' as const), limit }),
  fc.record({ kind: fc.constant('purge' as const), recipient: fc.constantFrom(undefined, ...RECIPIENTS), limit })
)

/** Carries a step out; `seqs` grows with what is stored. */
async function carryOut(sql: Sql, step: Step, seqs: number[]): Promise<unknown> {
  switch (step.kind) {
    case 'store':
      return seqs.push(...(await store(sql, step.count)))
    case 'release':
      return releaseEntries(sql, shareOf(seqs, step))
    case 'end': {
      const unreceipted = shareOf(seqs, step)
      return noteEnded(
        sql,
        step.recipients.map((recipient) => ({ ...box(recipient), unreceipted, isLast: step.isLast }))
      )
    }
    case 'expire':
      return expireEntries(sql, NOW, step.limit)
    case 'purge':
      return purgeEntries(sql, { network: 'n', recipient: step.recipient }, step.limit, NOW)
  }
}

/**
 * Carries steps out on as many connections as there are; but, as a server does (Releases), one batch of releases at a
 * time and one of ended sessions.
 */
async function carryOutAll(sql: Sql, steps: readonly Step[], seqs: number[]): Promise<void> {
  const ofKind = (kind: Step['kind']) => steps.filter((each) => each.kind === kind)
  const inTurn = async (some: readonly Step[]) => {
    for (const each of some) await carryOut(sql, each, seqs)
  }
  const others = steps.filter(({ kind }) => kind !== 'release' && kind !== 'end')
  await Promise.all([
    inTurn(ofKind('release')),
    inTurn(ofKind('end')),
    ...others.map((each) => carryOut(sql, each, seqs))
  ])
}

/** The places between two percentages of those known, in either direction. */
function shareOf(seqs: readonly number[], { from, to }: { from: number; to: number }): number[] {
  const at = (percent: number) => Math.round((seqs.length * percent) / 100)
  return from <= to ? seqs.slice(at(from), at(to)) : seqs.slice(at(to), at(from)).toReversed()
}

function openPool(t: TestContext, url: string): Sql {
  const pool = new Pool({ url, size: CONNECTIONS, statementMs: 20_000, log: silentLog })
  atEnd(t, () => pool.end(1_000))
  return pool.sql
}

test('quotas are exact after any steps on several connections at once', async (t) => {
  const { url } = await createTestDatabase(t)
  const sql = openPool(t, url)
  const steps = fc.array(step, { minLength: CONNECTIONS, maxLength: 4 * CONNECTIONS })
  const property = fc.asyncProperty(steps, async (all) => {
    const seqs = await store(sql, 120)
    await carryOutAll(sql, all, seqs)
    assert.deepEqual(await wrongQuotas(sql as never), [])
    await takeAllSlots(sql)
    assert.deepEqual(await wrongQuotas(sql as never), [])
    await releaseEntries(sql, seqs)
    assert.deepEqual(await quotaSums(sql), { left: 0, entries: 0, bytes: 0 })
  })
  await fc.assert(property, { numRuns: 40, endOnFailure: true }) // the same steps may not meet again in the same way
})

async function quotaSums(sql: Sql) {
  const [sums] = await sql`
    select (select count(*) from queue_entry) as left, sum(entries)::int as entries, sum(bytes)::int as bytes
    from quota`
  return { ...sums }
}

test('the last session of a peer that ends gives all its messages their places, and counts what was sent in vain', async (t) => {
  const { sql } = await createTestDatabase(t)
  const seqs = await store(sql, 120)
  const rows = () => sql<{ recipient: string; slot: boolean; deliveries: number }[]>`
    select recipient, slot, deliveries from queue_entry order by seq`
  const before = await rows()
  const unreceipted = seqs.slice(0, 40)
  await noteEnded(sql, [
    { ...box('x'), unreceipted, isLast: true },
    { ...box('x'), unreceipted: [], isLast: true },
    { ...box('y'), unreceipted: [], isLast: false }
  ])
  const expected = before.map(({ recipient, slot }, place) => ({
    ...{ recipient, slot: slot || recipient === 'x', deliveries: place < 40 ? 1 : 0 }
  }))
  assert.deepEqual([...(await rows())], expected)
  assert.deepEqual(await wrongQuotas(sql as never), [])
  await sql`update queue_entry set deliveries = ${MOST_DELIVERIES}`
  await noteEnded(sql, [{ ...box('z'), unreceipted: seqs, isLast: true }])
  assert.ok((await rows()).every(({ deliveries }) => deliveries === MOST_DELIVERIES))
})

test('a session that ends does not wait for entries that are being deleted', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const seqs = await store(sql, 120)
  const other = openPool(t, url)
  await other
    .begin(async (tx) => {
      await tx`delete from queue_entry where seq = any(${seqs.slice(0, 60)}::bigint[])`
      await noteEnded(sql, [{ ...box('x'), unreceipted: seqs, isLast: true }])
      const counted = await sql<{ seq: number }[]>`select seq from queue_entry where deliveries = 1 order by seq`
      assert.deepEqual(
        counted.map(({ seq }) => seq),
        seqs.slice(60)
      )
      throw new Rollback()
    })
    .catch((error: unknown) => assert.ok(error instanceof Rollback, String(error)))
  assert.deepEqual(await wrongQuotas(sql as never), [])
})

class Rollback extends Error {}

test('the places of a mailbox are taken from it alone, also when Postgres believes the table to be empty', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const mailboxes = Array.from({ length: 50 }, (_, place) => `r${place}`)
  const fill = () => insertEntries(sql, entries(5_000, mailboxes), { isAudited: false, ttlMs: TTL_MS })
  await fill()
  await sql`delete from queue_entry`
  await sql`vacuum (analyze) queue_entry` // as autovacuum does when a backlog has been received
  const explained = await explainedSql(t, url)
  await noteEnded(explained.sql, [{ ...box('r1'), unreceipted: [1], isLast: true }]) // planned now, and not again
  const seqs = (await fill()).filter(({ recipient }) => recipient === 'r7').map(({ seq }) => seq)
  const plan = await explained.plansOf(() =>
    noteEnded(explained.sql, [
      { ...box('r7'), unreceipted: seqs, isLast: true },
      { ...box('r9'), unreceipted: [], isLast: true }
    ])
  )
  const reads = plan.filter(({ table, type }) => table === 'queue_entry' && /Scan/.test(type))
  assert.ok(reads.length >= 3 && reads.every(({ rows }) => rows <= 400), JSON.stringify(plan))
  const [taken] = await sql`
    select count(*)::int as slots, count(distinct recipient)::int as mailboxes from queue_entry
    where slot and recipient in ('r7', 'r9')`
  assert.deepEqual({ ...taken }, { slots: 200, mailboxes: 2 })
})
