// What noisy sockets may ask for together, by a clock of the test.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NoisyBudget } from '../../src/limits/noisy-budget.ts'

/** Asks for work as fast as the budget allows, up to `perMs`, for so long; a quiet answer every 10 ms takes what `answer` says. Returns µs a second. */
function run(
  budget: NoisyBudget,
  time: { now: number },
  ms: number,
  perMs: number,
  answer: (askedPerMs: number) => number
) {
  let asked = 0
  let askedLately = 0
  for (const end = time.now + ms; time.now < end; time.now++) {
    for (let left = perMs; left > 0 && budget.waitMs(time.now) === 0; left -= 100) {
      budget.spend(100, time.now)
      asked += 100
      askedLately += 100
    }
    if (time.now % 10 !== 0) continue
    budget.answered(answer(askedLately / 10), time.now)
    askedLately = 0
  }
  return (asked / ms) * 1_000
}

test('there is no limit while quiet sockets are answered in time, or are not there', () => {
  const budget = new NoisyBudget()
  const time = { now: 0 }
  assert.equal(
    run(budget, time, 1_000, 3_000, () => 10),
    3_000_000
  )
})

test('late answers make it less, until they come in time', () => {
  const budget = new NoisyBudget()
  const time = { now: 0 }
  // What more than 400 µs a ms costs makes everybody wait.
  const answer = (perMs: number) => (perMs > 400 ? 60 : 5)
  run(budget, time, 1_000, 2_000, answer)
  const rate = run(budget, time, 10_000, 2_000, answer)
  assert.ok(rate > 200_000 && rate < 600_000, `${rate}`)
})

test('a twentieth of a core is always left, and all of it is back seconds after the last late answer', () => {
  const budget = new NoisyBudget()
  const time = { now: 0 }
  run(budget, time, 100, 2_000, () => 5)
  run(budget, time, 1_000, 2_000, () => 500)
  const least = run(budget, time, 1_000, 2_000, () => 500)
  assert.ok(least >= 50_000 && least < 60_000, `${least}`)
  run(budget, time, 5_000, 2_000, () => 5)
  assert.equal(
    run(budget, time, 1_000, 2_000, () => 5),
    2_000_000
  )
})

test('where answers always take long, late is what takes much longer', () => {
  const budget = new NoisyBudget()
  const time = { now: 0 }
  assert.equal(
    run(budget, time, 60_000, 2_000, () => 50),
    2_000_000
  )
  run(budget, time, 1_000, 2_000, () => 500)
  assert.ok(run(budget, time, 1_000, 2_000, () => 500) < 200_000)
})

test('minutes of slow answers do not pass for how things are', () => {
  const budget = new NoisyBudget()
  const time = { now: 0 }
  run(budget, time, 1_000, 500, () => 3)
  run(budget, time, 240_000, 500, () => 30)
  assert.ok(run(budget, time, 1_000, 500, () => 30) < 60_000)
})

test('what costs more than there is, is paid for before the next', () => {
  const budget = new NoisyBudget()
  const time = { now: 0 }
  run(budget, time, 100, 2_000, () => 5)
  run(budget, time, 1_000, 2_000, () => 500)
  while (budget.waitMs(time.now) > 0) time.now += 1
  budget.spend(50_000, time.now)
  assert.ok(budget.waitMs(time.now) > 400, `${budget.waitMs(time.now)}`)
})
