// Messages come first: while they keep the machine busy, records wait, but not for ever.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { busyMeter, restAfter } from '../../src/audit/pace.ts'
import { Sequencer } from '../../src/audit/sequencer.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { messages, openTestTrail } from './helpers.ts'

const INTERVAL_MS = 20

function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test('the machine is busy when many messages come in and the event loop has no time left', () => {
  let count = 0
  const isBusy = busyMeter(INTERVAL_MS, 100, () => count)
  count += 1_000
  work(2 * INTERVAL_MS)
  assert.equal(isBusy(), true)
  assert.equal(isBusy(), true, 'until there is something new to say')
  count += 1
  work(2 * INTERVAL_MS)
  assert.equal(isBusy(), false, 'work that no messages bring')
})

/** A sequencer that is told that messages keep the machine busy, and stops at the latest after so many batches. */
async function recordsUnderLoad(t: Parameters<typeof openTestTrail>[0], acceptedAt: number, batches: number) {
  const { database, publisher, sql } = await openTestTrail(t)
  await insertAuditEvents(sql, messages(10, { acceptedAt }))
  await insertAuditEvents(sql, messages(10, { acceptedAt }))
  await insertAuditEvents(sql, messages(10, { acceptedAt }))
  let asked = 0
  let reached = () => {}
  const done = new Promise<void>((resolve) => (reached = resolve))
  const sequencer = new Sequencer({
    ...{ database, publisher, intervalMs: 3_600_000, batchEvents: 10, now: Date.now, log: silentLog },
    isBusy: () => {
      asked += 1
      if (asked === batches) reached()
      return true
    }
  })
  sequencer.start()
  await done
  await sequencer.close()
  return sequencer.records
}

test('a sequencer that is asked to give way takes one batch an interval', async (t) => {
  assert.equal(await recordsUnderLoad(t, Date.now(), 1), 10)
})

test('a round begins every second, also where rounds take long', () => {
  const rests = [0, 100, 400, 650, 850, 5_000].map((tookMs) => restAfter(tookMs, 500))
  assert.deepEqual(rests, [500, 500, 500, 250, 50, 50])
  assert.equal(restAfter(0, 20), 20)
})

test('records do not fall behind for more than a minute', async (t) => {
  assert.equal(await recordsUnderLoad(t, Date.now() - 61_000, 3), 30)
})

test('while it gives way its batches are small', async (t) => {
  const { database, publisher, sql } = await openTestTrail(t)
  for (let row = 0; row < 20; row++) await insertAuditEvents(sql, messages(100, { acceptedAt: Date.now() }))
  let asked = 0
  let reached = () => {}
  const done = new Promise<void>((resolve) => (reached = resolve))
  const sequencer = new Sequencer({
    ...{ database, publisher, intervalMs: INTERVAL_MS, batchEvents: 1_000, now: Date.now, log: silentLog },
    isBusy: () => {
      asked += 1
      if (asked === 2) reached()
      return true
    }
  })
  sequencer.start()
  await done
  await sequencer.close()
  // A whole batch before it knew, then about 128: what one transaction handed in stays together.
  assert.equal(sequencer.records, 1_200)
})
