import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { type Anchor, type AnchoredCheckpoint, AnchorOutbox } from '../../src/anchor/anchor.ts'
import { LogAnchor } from '../../src/audit/log-anchor.ts'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { postgresSource } from '../../src/audit/sources.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { renewLease } from '../../src/store/relay.ts'
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
  const outboxOf = (relay: string = randomUUID()) =>
    new AnchorOutbox({
      ...{ database: trail.database, anchor, intervalMs, relay },
      ...{ parallel: 4, now: () => clock.now, log: silentLog }
    })
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

/** The first call hangs until `release`. */
async function withHangingAnchor(t: TestContext) {
  let release = () => {}
  const hang = (call: number) => (call === 1 ? new Promise<void>((resolve) => (release = resolve)) : undefined)
  const stage = await withAnchor(t, hang)
  await stage.trail.record(messages(3))
  return { ...stage, release: () => release() }
}

const referencesOf = async ({ sql }: TestTrail) =>
  (await sql<{ reference: string }[]>`select reference from audit_anchor order by id`).map(({ reference }) => reference)

test('what a relay was anchoring when it was killed is anchored at once by the next start', async (t) => {
  const { trail, calls, outboxOf, release } = await withHangingAnchor(t)
  const killed = outboxOf().round()
  await until('it is called', () => calls.length > 0)
  await outboxOf().round() // by a clock that stands still
  assert.equal(calls.length, 2)
  assert.equal(await anchoredOf(trail), 3)
  release()
  await killed
  assert.deepEqual(await referencesOf(trail), ['block 2'])
})

test('relays of a cluster anchor one at a time, also of several logs; one whose lease has ended is stood in for', async (t) => {
  const { trail, calls, outboxOf, release } = await withHangingAnchor(t)
  const relays = [randomUUID(), randomUUID()] as const
  const row = (id: string) => ({ id, cluster: 'blue', name: id, version: '1', listenerPid: null })
  for (const id of relays) await renewLease(trail.sql, row(id), 600_000)
  const first = outboxOf(relays[0]).round()
  await until('it is called', () => calls.length > 0)
  await trail.record(messages(3, { network: 'another' }))
  const other = outboxOf(relays[1])
  await other.round()
  assert.equal(calls.length, 1)
  await trail.sql`update relay set lease_until = now() where id = ${relays[0]}::uuid`
  await other.round()
  assert.deepEqual(calls.map(({ network }) => network).sort(), ['another', 'signaling', 'signaling'])
  assert.deepEqual([await anchoredOf(trail), await anchoredOf(trail, 'another')], [3, 3])
  release()
  await first
  assert.equal((await referencesOf(trail)).includes('block 1'), false)
})

test('a relay that was stood in for, and fails late, does not take the checkpoint from the one that carries it', async (t) => {
  const gates: ((error?: Error) => void)[] = []
  const { trail, calls, clock, outboxOf } = await withAnchor(
    t,
    () => new Promise<void>((resolve, reject) => gates.push((error) => (error ? reject(error) : resolve())))
  )
  await trail.record(messages(3))
  const first = outboxOf().round()
  await until('it is called', () => calls.length === 1)
  const second = outboxOf().round()
  await until('it is called again', () => calls.length === 2)
  gates[0]!(new Error('the chain is away'))
  await first
  const [row] = await trail.sql<{ next: number }[]>`select next_attempt_at as next from audit_anchor`
  assert.equal(row?.next, clock.now)
  gates[1]!()
  await second
  assert.deepEqual(await referencesOf(trail), ['block 2'])
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
