import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { Batcher, type BatchFailure } from '../../src/util/batcher.ts'

const LIMITS = { batchItems: 100, batchBytes: 1_000, waitingItems: 1_000, waitingBytes: 100_000, deadlineMs: 400 }

type Item = { n: number; bytes: number }

/** Groups are written when the test says so. */
function byHand(limits = LIMITS) {
  const groups: { items: readonly Item[]; finish(): void; fail(): void }[] = []
  const errors: unknown[] = []
  const commit = new Batcher<Item, string>({
    write: (items) =>
      new Promise((resolve, reject) => {
        groups.push({
          items,
          finish: () => resolve(items.map((item) => `stored ${item.n}`)),
          fail: () => reject(new Error('no'))
        })
      }),
    limits,
    failed: (error) => errors.push(error)
  })
  const answers: (string | BatchFailure)[] = []
  const add = (n: number, bytes = 10) => commit.add({ n, bytes }, (answer) => answers.push(answer))
  return { commit, groups, answers, add, errors }
}

test('an item on its own is written at once, and what comes meanwhile is the next group', async () => {
  const { groups, answers, add } = byHand()
  add(1)
  await setImmediate()
  for (const n of [2, 3, 4]) add(n)
  await setImmediate()
  assert.deepEqual(
    groups.map((group) => group.items.map((item) => item.n)),
    [[1]]
  )
  groups[0]!.finish()
  await setImmediate()
  assert.deepEqual(answers, ['stored 1'])
  assert.deepEqual(
    groups[1]!.items.map((item) => item.n),
    [2, 3, 4]
  )
  groups[1]!.finish()
  await setImmediate()
  assert.deepEqual(answers, ['stored 1', 'stored 2', 'stored 3', 'stored 4'])
})

test('nobody is answered before the write is done', async () => {
  const { answers, add } = byHand()
  add(1)
  await setTimeout(50)
  assert.deepEqual(answers, [])
})

test('a group is bounded in items and in bytes, but takes any first item', async () => {
  const { groups, add } = byHand({ ...LIMITS, batchItems: 2, batchBytes: 25 })
  for (const [n, bytes] of [
    [1, 10],
    [2, 10],
    [3, 10],
    [4, 20],
    [5, 500]
  ] as const) {
    add(n, bytes)
  }
  for (let at = 0; at < 4; at++) {
    await setImmediate()
    groups[at]!.finish()
  }
  assert.deepEqual(
    groups.map((group) => group.items.map((item) => item.n)),
    [[1, 2], [3], [4], [5]]
  )
})

test('too much waiting is refused, and never answered from within add()', async () => {
  for (const limits of [
    { ...LIMITS, waitingItems: 2 },
    { ...LIMITS, waitingBytes: 20 }
  ]) {
    const { answers, add } = byHand(limits)
    for (const n of [1, 2, 3]) add(n)
    assert.deepEqual(answers, [])
    await setImmediate()
    assert.deepEqual(answers, ['busy'])
  }
})

test('a write that fails answers its own group, and the next one goes on', async () => {
  const { commit, groups, answers, add } = byHand()
  add(1)
  await setImmediate()
  add(2)
  groups[0]!.fail()
  await setImmediate()
  groups[1]!.finish()
  await commit.drained()
  assert.deepEqual(answers, ['unavailable', 'stored 2'])
})

test('what waits behind a write that hangs is given up after the deadline, each once', async () => {
  const { commit, groups, answers, add } = byHand({ ...LIMITS, deadlineMs: 100 })
  add(1)
  await setImmediate()
  add(2)
  add(3)
  await setTimeout(300)
  assert.deepEqual(answers, ['unavailable', 'unavailable'])
  assert.equal(commit.waiting, 0)
  groups[0]!.finish()
  await commit.drained()
  assert.deepEqual(answers, ['unavailable', 'unavailable', 'stored 1'])
  add(4)
  await setImmediate()
  groups[1]!.finish()
  await commit.drained()
  assert.equal(answers.at(-1), 'stored 4')
})

test('what was given up makes room for what comes', async () => {
  const { answers, groups, add } = byHand({ ...LIMITS, deadlineMs: 50, waitingBytes: 30 })
  add(1)
  await setImmediate()
  for (const n of [2, 3, 4]) add(n)
  await setTimeout(150)
  for (const n of [5, 6, 7]) add(n)
  await setImmediate()
  assert.equal(answers.filter((answer) => answer === 'busy').length, 0)
  groups[0]!.finish()
})

test('an answer that throws is reported, and the others of its batch are answered', async () => {
  const { commit, groups, answers, add, errors } = byHand()
  commit.add({ n: 1, bytes: 10 }, () => {
    throw new Error('a defect')
  })
  add(2)
  await setImmediate()
  groups[0]!.finish()
  await commit.drained()
  assert.deepEqual(answers, ['stored 2'])
  assert.equal(errors.length, 1)
})
