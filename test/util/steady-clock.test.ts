import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteadyClock } from '../../src/util/steady-clock.ts'

const DAY = 86_400_000

function clock() {
  const time = { wall: 1_700_000_000_000, monotonic: 5_000 }
  const steady = new SteadyClock(
    () => time.wall,
    () => time.monotonic
  )
  const pass = (ms: number) => {
    time.wall += ms
    time.monotonic += ms
    return steady.isSteady()
  }
  return { time, steady, pass }
}

test('a clock that jumps 8 days ahead for a minute is not believed, neither then nor when it is back', () => {
  const { time, pass } = clock()
  assert.equal(pass(60_000), true)
  time.wall += 8 * DAY
  assert.equal(pass(1), false)
  assert.equal(pass(60_000), false)
  time.wall -= 8 * DAY
  assert.equal(pass(60_000), false)
  for (let minutes = 0; minutes < 60; minutes++) pass(60_000)
  assert.equal(pass(60_000), true)
})

test('a clock that is slewed, as time services do, is believed', () => {
  const { time, pass } = clock()
  for (let minutes = 0; minutes < 1_000; minutes++) {
    time.wall += 1_000
    assert.equal(pass(60_000), true)
  }
})
