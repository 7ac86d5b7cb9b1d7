// Long work in slices: measured by a clock that the work itself moves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { SLICE_MS, Slices } from '../../src/util/slices.ts'

function works() {
  let now = 0
  const done: string[] = []
  function* work(name: string, steps: number): Generator<void> {
    for (let step = 0; step < steps; step++) {
      now += 1
      done.push(name)
      yield
    }
  }
  return { slices: new Slices(() => now), done, work }
}

test('short work is done at once, long work a slice in each turn of the event loop', async () => {
  const { slices, done, work } = works()
  slices.run(work('short', 3))
  assert.equal(done.length, 3)
  slices.run(work('long', 3 * SLICE_MS))
  for (let turns = 1; turns <= 3; turns++) {
    assert.equal(done.length, 3 + turns * SLICE_MS)
    await nextTurn()
  }
  assert.equal(done.length, 3 + 3 * SLICE_MS)
})

test('several works take turns, and one slice of one of them is all that a turn has', async () => {
  const { slices, done, work } = works()
  for (const name of ['a', 'b']) slices.run(work(name, 3 * SLICE_MS))
  let before = SLICE_MS
  while (done.length < 6 * SLICE_MS) {
    await nextTurn()
    assert.ok(done.length <= before + SLICE_MS, 'one slice in a turn')
    before = done.length
  }
  assert.equal(done.join(''), ['a', 'a', 'b', 'a', 'b', 'b'].map((name) => name.repeat(SLICE_MS)).join(''))
})

test('work that fails takes nobody else with it', async () => {
  const { slices, done, work } = works()
  slices.run(work('a', 2 * SLICE_MS))
  slices.run(work('b', 1))
  const failing = new Slices()
  // biome-ignore lint/correctness/useYield: it fails before
  const fail = function* (): Generator<void> {
    throw new Error('on purpose')
  }
  assert.throws(() => failing.run(fail()), /on purpose/)
  failing.run(work('c', 1))
  for (let turns = 0; turns < 3; turns++) await nextTurn()
  assert.equal(done.length, 2 * SLICE_MS + 2)
})

test('what is not done when they are closed is dropped', async () => {
  const { slices, done, work } = works()
  slices.run(work('a', 2 * SLICE_MS))
  slices.close()
  for (let turns = 0; turns < 3; turns++) await nextTurn()
  assert.equal(done.length, SLICE_MS)
})
