import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { Metric, type MetricSpec } from '../../../src/observability/metrics/metric.ts'

const COLOURS = { kind: 'counter', name: 'colours_total', help: 'x', labels: { colour: ['red', 'blue'] } } as const
const LEVEL = { kind: 'gauge', name: 'level', help: 'x', labels: {} } as const
const SECONDS = {
  kind: 'histogram',
  name: 'seconds',
  help: 'x',
  labels: { colour: ['red'] },
  buckets: [1, 2, 5]
} as const

/** A metric, and the samples its registry shows. */
function metricOf<const S extends MetricSpec>(spec: S) {
  const registry = new Registry()
  const metric = new Metric<S['labels'], S['kind']>(spec, registry)
  const samples = async () => (await registry.metrics()).split('\n').filter((line) => /^[^#]/.test(line))
  return { metric, samples }
}

test('an observation is in every bucket whose bound it does not exceed', async () => {
  const { metric, samples } = metricOf(SECONDS)
  const histogram = metric.at({ colour: 'red' })
  const bucket = (le: string, count: number) => `seconds_bucket{le="${le}",colour="red"} ${count}`
  assert.deepEqual(await samples(), [
    ...['1', '2', '5', '+Inf'].map((le) => bucket(le, 0)),
    ...['seconds_sum{colour="red"} 0', 'seconds_count{colour="red"} 0']
  ])
  for (const value of [0, 1, 1.5, 2, 4, 6]) histogram.observe(value)
  assert.deepEqual(await samples(), [
    ...[bucket('1', 2), bucket('2', 4), bucket('5', 5), bucket('+Inf', 6)],
    ...['seconds_sum{colour="red"} 14.5', 'seconds_count{colour="red"} 6']
  ])
})

test('a label has the values that are declared and no others', () => {
  const { metric } = metricOf(COLOURS)
  assert.throws(() => metric.at({ colour: 'green' as never }), /colours_total has no colour="green"/)
  assert.throws(() => metric.at({} as never), /has no colour="undefined"/)
  assert.equal(metric.at({ colour: 'red' }), metric.at({ colour: 'red' }))
})

test('a counter is shown with 0 from the moment somebody holds a series of it', async () => {
  const { metric, samples } = metricOf(COLOURS)
  assert.deepEqual(await samples(), [])
  metric.by('colour', {}).blue.inc(2)
  const shown = ['colours_total{colour="red"} 0', 'colours_total{colour="blue"} 2']
  assert.deepEqual(await samples(), shown)
  assert.deepEqual(await samples(), shown, 'reading twice adds nothing')
  assert.deepEqual([metric.total(), metric.total({ colour: 'red' })], [2, 0])
})

test('a gauge is shown while its value is known', async () => {
  const { metric, samples } = metricOf(LEVEL)
  assert.deepEqual(await samples(), [])
  metric.at().value = 0
  assert.deepEqual(await samples(), ['level 0'])
  metric.at().value = undefined
  assert.deepEqual(await samples(), [])
})
