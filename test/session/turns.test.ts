// Whose turn it is when many sockets have something, by a clock of the test: each piece takes a millisecond.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Rank } from '../../src/limits/accounts.ts'
import { NoisyBudget } from '../../src/limits/noisy-budget.ts'
import { Turns } from '../../src/session/turns.ts'
import { stopTime } from '../helpers/stop-time.ts'

function turnsOf(t: TestContext) {
  const time = stopTime(t)
  const budget = new NoisyBudget()
  const turns = new Turns(budget)
  const served: string[] = []
  const socket = (name: string, pieces: number, rank: Rank) => ({
    rank,
    serve: () => {
      served.push(name)
      time.stall(1)
      pieces -= 1
      return pieces > 0
    }
  })
  const wait = (rank: Rank, pieces: number, name: string = rank) => turns.wait(socket(name, pieces, rank))
  /** What is served in the next turn. */
  const next = async () => {
    await turn()
    return served.splice(0)
  }
  return { time, turns, budget, wait, next }
}

test('quiet sockets are served first and for longer, visitors and noisy ones in each turn, a piece each, round after round', async (t) => {
  const { wait, next } = turnsOf(t)
  wait('noisy', 3, 'a')
  wait('noisy', 2, 'b')
  wait('visitor', 3)
  wait('quiet', 11)
  const [quiet, visitors] = [Array<string>(10).fill('quiet'), Array<string>(2).fill('visitor')]
  assert.deepEqual(await next(), [...quiet, ...visitors, 'a', 'b'])
  assert.deepEqual(await next(), ['quiet', 'visitor', 'a', 'b'])
  assert.deepEqual(await next(), ['a'])
})

test('strangers are served last, and get a fifth of the time', async (t) => {
  const { time, wait, next } = turnsOf(t)
  wait('stranger', 6)
  wait('noisy', 7)
  assert.deepEqual(await next(), ['noisy', 'noisy', 'stranger', 'stranger'])
  assert.deepEqual(await next(), ['noisy', 'noisy'])
  assert.deepEqual(await next(), ['noisy', 'noisy'])
  assert.deepEqual(await next(), ['noisy'])
  await time.advance(3)
  assert.deepEqual(await next(), ['stranger', 'stranger'])
})

test('what a piece of a stranger takes is made up for by a longer rest', async (t) => {
  const { time, turns, wait, next } = turnsOf(t)
  const serve = () => {
    time.stall(50)
    return false
  }
  turns.wait({ rank: 'stranger', serve })
  await next()
  wait('stranger', 1)
  await time.advance(190)
  assert.deepEqual(await next(), [])
  await time.advance(20)
  assert.deepEqual(await next(), ['stranger'])
})

test('noisy sockets rest while their budget is used up, and nobody else', async (t) => {
  const { time, turns, budget, wait, next } = turnsOf(t)
  budget.spend(100_000, performance.now())
  for (const ms of [5, 500]) budget.answered(ms, performance.now())
  await time.advance(60)
  budget.spend(5_000, performance.now())
  assert.deepEqual([turns.hasRoom('noisy'), turns.hasRoom('quiet')], [false, true])
  wait('noisy', 1)
  wait('quiet', 1)
  assert.deepEqual(await next(), ['quiet'])
  await time.advance(budget.waitMs(performance.now()) + 1)
  assert.deepEqual(await next(), ['noisy'])
})

test('in a turn that is young sockets need not wait, unless others of their rank do', async (t) => {
  const { time, turns, wait, next } = turnsOf(t)
  assert.deepEqual([turns.hasRoom('noisy'), turns.hasRoom('stranger')], [true, false])
  time.stall(3)
  assert.deepEqual([turns.hasRoom('quiet'), turns.hasRoom('noisy')], [true, false])
  time.stall(8)
  assert.equal(turns.hasRoom('quiet'), false)
  await next()
  wait('noisy', 1)
  assert.deepEqual([turns.hasRoom('quiet'), turns.hasRoom('noisy')], [true, false])
})

test('who asked for too much while it waited waits with those of its new rank; who asked for little meanwhile keeps its place', async (t) => {
  const { turns, wait, next } = turnsOf(t)
  const served: string[] = []
  const changing = (name: string, rank: Rank) => ({
    rank,
    serve: () => {
      served.push(name)
      return false
    }
  })
  const [louder, quieter] = [changing('louder', 'visitor'), changing('quieter', 'noisy')]
  wait('noisy', 2)
  turns.wait(louder)
  turns.wait(quieter)
  louder.rank = 'noisy'
  quieter.rank = 'quiet'
  assert.deepEqual(await next(), ['noisy', 'noisy'])
  assert.deepEqual(served, ['quieter', 'louder'])
})
