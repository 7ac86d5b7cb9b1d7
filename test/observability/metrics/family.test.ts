import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Distribution, Family } from '../../../src/observability/metrics/family.ts'

const colours = { kind: 'counter', name: 'colours_total', help: 'x', labels: { colour: ['red', 'blue'] } } as const

test('a value is in the first bucket whose bound it does not exceed, and in all above', () => {
  const distribution = new Distribution([1, 2, 5])
  for (const value of [0, 1, 1.5, 2, 4, 6]) distribution.observe(value)
  assert.deepEqual(distribution.cumulated(), [2, 4, 5])
  assert.deepEqual([distribution.count, distribution.sum], [6, 14.5])
})

test('a label has the values that are declared and no others', () => {
  const family = new Family(colours)
  assert.throws(() => family.at({ colour: 'green' as never }), /colours_total has no colour="green"/)
  assert.throws(() => family.at({} as never), /has no colour="undefined"/)
  assert.equal(family.at({ colour: 'red' }), family.at({ colour: 'red' }))
})

test('a series is shown once somebody holds it, with 0; a level that is not known is not shown', async () => {
  const family = new Family(colours)
  assert.deepEqual((await family.get()).values, [])
  family.by('colour', {}).blue.inc(2)
  assert.deepEqual((await family.get()).values, [
    { labels: { colour: 'red' }, value: 0 },
    { labels: { colour: 'blue' }, value: 2 }
  ])
  assert.deepEqual([family.total(), family.total({ colour: 'red' })], [2, 0])
  const level = new Family({ kind: 'gauge', name: 'level', help: 'x', labels: {} })
  assert.deepEqual((await level.get()).values, [])
  level.at().value = 0
  assert.deepEqual((await level.get()).values, [{ labels: {}, value: 0 }])
})
