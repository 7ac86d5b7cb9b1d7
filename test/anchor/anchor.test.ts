import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Anchor, type AnchoredCheckpoint, AnchorOutbox } from '../../src/anchor/anchor.ts'
import { LogAnchor } from '../../src/audit/log-anchor.ts'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { postgresSource } from '../../src/audit/sources.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { openNote, parseCheckpoint } from '../../src/tlog/note.ts'
import { messages, openTestTrail, type TestTrail } from '../audit/helpers.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

/** An anchor that does what the test says, and a clock the test sets. */
async function withAnchor(t: TestContext, behave: (call: number) => Promise<void> | void = () => {}, intervalMs = 0) {
  const trail = await openTestTrail(t)
  const calls: AnchoredCheckpoint[] = []
  const anchor: Anchor = {
    name: 'test',
    anchor: async (checkpoint) => {
      calls.push(checkpoint)
      await behave(calls.length)
      return { reference: `block ${calls.length}` }
    }
  }
  const clock = { now: 1_000_000 }
  const outboxOf = (database = trail.database) =>
    new AnchorOutbox({ database, anchor, intervalMs, parallel: 4, now: () => clock.now, log: silentLog })
  return { trail, calls, clock, outboxOf }
}

const anchoredOf = async (trail: TestTrail, network = 'signaling') => (await findLog(trail.sql, network))?.anchoredSize

test('each checkpoint is anchored once; what grew meanwhile goes with the next', async (t) => {
  const { trail, calls, outboxOf } = await withAnchor(t)
  const outbox = outboxOf()
  await outbox.round()
  assert.equal(calls.length, 0)
  await trail.record(messages(5))
  await trail.record(messages(5))
  for (let round = 0; round < 3; round++) await outbox.round()
  assert.equal(calls.length, 1)
  const { origin, size, rootHash, note, network } = calls[0]!
  const checkpoint = parseCheckpoint(openNote(note, nodeVerifier(trail.node)))
  assert.deepEqual({ origin, size, root: Buffer.from(rootHash, 'hex') }, checkpoint)
  assert.deepEqual([network, size, origin], ['signaling', 10, 'relay.example/logs/signaling'])
  assert.equal(await anchoredOf(trail), 10)
  await trail.record(messages(1))
  await outbox.round()
  assert.deepEqual(
    calls.map((call) => call.size),
    [10, 11]
  )
})

test('a failed anchor is tried again, later each time, also by another server after a restart', async (t) => {
  const fail = (call: number) => {
    if (call <= 3) throw new Error('the chain is away')
  }
  const { trail, calls, clock, outboxOf } = await withAnchor(t, fail)
  await trail.record(messages(3))
  const first = outboxOf()
  await first.round()
  await first.round()
  assert.equal(calls.length, 1)
  for (const [pauseMs, expected] of [
    [999, 1],
    [1, 2],
    [1_999, 2],
    [1, 3]
  ] as const) {
    clock.now += pauseMs
    await first.round()
    assert.equal(calls.length, expected)
  }
  assert.equal(first.failures, 3)
  await trail.record(messages(3)) // grows meanwhile: what is on its way stays what it is
  clock.now += 4_000
  await outboxOf().round()
  assert.deepEqual(
    calls.map((call) => call.size),
    [3, 3, 3, 3]
  )
  assert.equal(await anchoredOf(trail), 3)
})

test('an anchor may say itself when to come back', async (t) => {
  const fail = (call: number) => {
    if (call === 1) throw Object.assign(new Error('busy'), { retryAfterMs: 30_000 })
  }
  const { trail, calls, clock, outboxOf } = await withAnchor(t, fail)
  await trail.record(messages(3))
  const outbox = outboxOf()
  for (const pauseMs of [0, 29_999, 1]) {
    clock.now += pauseMs
    await outbox.round()
  }
  assert.equal(calls.length, 2)
})

test('two servers do not anchor the same checkpoint; one that died is stood in for', async (t) => {
  let release = () => {}
  const hang = (call: number) => (call === 1 ? new Promise<void>((resolve) => (release = resolve)) : undefined)
  const { trail, calls, clock, outboxOf } = await withAnchor(t, hang)
  await trail.record(messages(3))
  const dying = outboxOf().round()
  await until('it is called', () => calls.length > 0)
  const other = outboxOf()
  await other.round()
  assert.equal(calls.length, 1)
  clock.now += 15_000 // it has said nothing for so long
  await other.round()
  assert.equal(calls.length, 2)
  assert.equal(await anchoredOf(trail), 3)
  release()
  await dying
  const [row] = await trail.sql<{ reference: string }[]>`select reference from audit_anchor`
  assert.equal(row?.reference, 'block 2')
})

test('checkpoints of one log are anchored no more often than the interval says, whoever asks', async (t) => {
  const { trail, calls, clock, outboxOf } = await withAnchor(t, () => {}, 60_000)
  for (const pauseMs of [60_000, 59_999, 1]) {
    clock.now += pauseMs
    await trail.record(messages(2))
    await outboxOf().round() // a new server each time, as after a restart
  }
  assert.deepEqual(
    calls.map((call) => call.size),
    [2, 6]
  )
})

test('the log of checkpoints takes each checkpoint once, however often it is asked, and can be verified', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(5))
  const log = (await findLog(trail.sql, 'signaling'))!
  const anchor = new LogAnchor(trail.database, Date.now)
  const checkpoint = {
    ...{ network: 'signaling', origin: 'relay.example/logs/signaling', size: 5, note: log.publishedNote! },
    rootHash: Buffer.from(log.root).toString('hex')
  }
  const stop = new AbortController()
  const sequencing = (async () => {
    while (!stop.signal.aborted) await trail.sequencer.round()
  })()
  const references = await Promise.all([1, 2, 3].map(() => anchor.anchor(checkpoint)))
  references.push(await anchor.anchor(checkpoint))
  references.push(await anchor.anchor({ ...checkpoint, size: 6 }))
  stop.abort()
  await sequencing
  assert.deepEqual(
    references.map(({ reference }) => reference),
    ['anchors/0', 'anchors/0', 'anchors/0', 'anchors/0', 'anchors/1']
  )
  const source = postgresSource(trail.database, (await findLog(trail.sql, 'anchors'))!)
  const verdict = await verifyLog({ network: 'anchors', source, verifier: nodeVerifier(trail.node) })
  assert.deepEqual([verdict.size, verdict.findings], [2, []])
})
