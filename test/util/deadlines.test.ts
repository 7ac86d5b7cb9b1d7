import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Deadlines } from '../../src/util/deadlines.ts'
import { until } from '../helpers/wait.ts'

test('who waits too long is told once, and who has ended is not', async () => {
  const deadlines = new Deadlines(60)
  const told: string[] = []
  const [slow, quick] = ['slow', 'quick'].map((name) => deadlines.begin(() => told.push(name)))
  assert.equal(quick!.end(), true)
  await until('one was told', () => told.length > 0)
  await delay(100)
  assert.deepEqual(told, ['slow'])
  assert.equal(slow!.end(), false)
})

test('a wait that began before it came here is due earlier', async () => {
  const deadlines = new Deadlines(60_000)
  const told: string[] = []
  const later = deadlines.begin(() => told.push('later'))
  deadlines.begin(() => told.push('earlier'), performance.now() - 60_000)
  await until('one was told', () => told.length > 0)
  assert.deepEqual(told, ['earlier'])
  later.end()
})
