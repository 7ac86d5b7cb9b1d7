// How far the audit trail is behind, as its figures tell it: on rows as the sequencer and the outbox leave them.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type AuditStats, watchAuditStats } from '../../../src/audit/audit-stats.ts'
import { insertAuditEvents } from '../../../src/store/audit-inbox.ts'
import { messages, openTestTrail, type TestTrail } from '../../audit/helpers.ts'
import { atEnd } from '../../helpers/at-end.ts'
import { silentLog } from '../../helpers/test-cluster.ts'

const ANCHOR_INTERVAL_MS = 60_000

/** Figures whose clock is the test's. `next` resolves with what a look found that began after this. */
function watch(t: TestContext, { database }: TestTrail, clock: { now: number }) {
  let looks = 0
  const now = () => {
    looks += 1
    return clock.now
  }
  const figures = watchAuditStats({ database, now, log: silentLog, anchorIntervalMs: ANCHOR_INTERVAL_MS, restMs: 5 })
  atEnd(t, () => figures.close())
  return async (): Promise<AuditStats> => {
    const begun = looks
    while (looks < begun + 2) await setTimeout(5) // the next but one begins when the next is done
    return figures.latest()!
  }
}

const since = ({ uncoveredSince, unanchoredSince }: AuditStats) => ({ uncoveredSince, unanchoredSince })
const NOTHING = { uncoveredSince: undefined, unanchoredSince: undefined }

test('records and waiting events of all logs are counted', async (t) => {
  const trail = await openTestTrail(t)
  const next = watch(t, trail, { now: 0 })
  assert.deepEqual(await next(), { records: 0, waiting: 0, ...NOTHING })
  await trail.record([...messages(3), ...messages(2, { network: 'other' })])
  await insertAuditEvents(trail.sql, messages(4))
  const { records, waiting } = await next()
  assert.deepEqual({ records, waiting }, { records: 5, waiting: 4 })
})

test('a log is without a checkpoint since it was seen to stand still, not when it moves', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(10))
  await trail.outbox.round()
  const clock = { now: Date.now() }
  const next = watch(t, trail, clock)
  const place = (size: number, published: number) =>
    trail.sql`update audit_log set size = ${size}, published_size = ${published}, anchored_size = ${published} where network = 'signaling'`
  await place(11, 10)
  assert.equal((await next()).uncoveredSince, clock.now)
  const began = clock.now
  clock.now += 90_000
  await place(15, 10) // more records, no checkpoint
  assert.equal((await next()).uncoveredSince, began)
  await place(16, 15)
  assert.equal((await next()).uncoveredSince, clock.now)
  await place(16, 16)
  assert.equal((await next()).uncoveredSince, undefined)
})

test('a checkpoint is late for its anchor since it was taken up, also after a restart, and not before it is due', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(10))
  const clock = { now: 1_000_000 }
  const next = watch(t, trail, clock)
  const queuedAt = (at: number) => trail.sql`update audit_log set anchor_queued_at = ${at} where network = 'signaling'`
  await queuedAt(clock.now - ANCHOR_INTERVAL_MS + 1)
  assert.deepEqual(since(await next()), NOTHING)
  await queuedAt(clock.now - ANCHOR_INTERVAL_MS) // due, and nobody takes it up
  assert.deepEqual(since(await next()), { ...NOTHING, unanchoredSince: clock.now })
  await trail.sql`
    insert into audit_anchor (log, epoch, size, note, created_at, next_attempt_at)
    select id, epoch, published_size, published_note, ${clock.now - 500_000}, 0 from audit_log where network = 'signaling'`
  const afterRestart = watch(t, trail, clock)
  assert.equal((await afterRestart()).unanchoredSince, clock.now - 500_000)
  await trail.sql`update audit_anchor set done_at = 0`
  await trail.sql`update audit_log set anchored_size = published_size`
  assert.deepEqual(since(await next()), NOTHING)
})
