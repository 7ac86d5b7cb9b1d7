// The last hour, day and week: a row a minute, kept for a week, whoever has the console open.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quantileOf } from '../../src/observability/minute-stats.ts'
import { until } from '../helpers/wait.ts'
import { message, startAdministered, store } from './helpers.ts'

const MINUTE = 60_000

test('what happened in a minute is a point of the hour; minutes go into those of the day and the week', async (t) => {
  let now = Math.floor(Date.now() / 3_600_000) * 3_600_000
  const server = await startAdministered(t, {}, { now: () => now })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  for (let n = 0; n < 6; n++) {
    alice.send(message('bob', n + 1))
    await bob.next('message')
  }
  await store(alice, ['carol', 1])
  alice.send(message('', 1))
  await alice.next()
  await until(
    'all are receipted',
    async () => (await server.ok('GET', '/stats')).protocols.signaling.deliveredTotal.pong === 6
  )
  await server.app.writeMinute()
  now += 2 * MINUTE
  await server.app.writeMinute()
  const { points, stepSeconds } = await server.ok('GET', '/history')
  assert.deepEqual([points.length, stepSeconds], [2, 60])
  const [first, second] = points
  assert.equal(Date.parse(second.at) - Date.parse(first.at), 2 * MINUTE)
  const { accepted, delivered, refused, rejected, sessions, peers } = first
  assert.deepEqual(
    { accepted, delivered, refused, rejected, sessions, peers },
    {
      accepted: 7 / 60,
      delivered: 6 / 60,
      refused: 1 / 60,
      rejected: { INVALID_MESSAGE: 1 / 60 },
      sessions: 2,
      peers: 2
    }
  )
  assert.ok(first.acceptP99 >= first.acceptP50 && first.acceptP50 > 0 && first.deliveryP50 > 0 && first.bytes > 0)
  assert.deepEqual([second.accepted, second.acceptP50, second.rejected], [0, null, {}])
  for (const [span, step] of [
    ['day', 600],
    ['week', 3_600]
  ] as const) {
    const whole = await server.ok('GET', `/history?span=${span}`)
    assert.deepEqual([whole.points.length, whole.stepSeconds, whole.points[0].accepted], [1, step, 7 / 120])
  }
  assert.equal(await server.refused('invalid-request', 'GET', '/history?span=year'), 'query/span')
  now += 8 * 24 * 60 * MINUTE
  await server.app.writeMinute()
  const { count: rows } = await server.app.database.sql`select from stats_minute`
  assert.equal(rows, 1, 'what is older than a week is gone')
})

test('relays over one database are added up, and what each sees of the database is not', async (t) => {
  const server = await startAdministered(t)
  await server.app.writeMinute()
  await server.app.database.sql`
    insert into stats_minute
    select minute, 'other', 60, 30, 0, 0, 600, '{"X": 60}', 5, 4, 0, 0, 9, 1, 2, 3, 4 from stats_minute`
  const [point] = (await server.ok('GET', '/history')).points
  assert.deepEqual([point.accepted, point.sessions, point.rejected, point.deliveryP99], [1, 5, { X: 1 }, 4])
})

test('a quantile lies within its bucket, as Prometheus computes it', () => {
  const buckets = [
    [0.001, 0],
    [0.01, 90],
    [0.1, 100],
    [Number.POSITIVE_INFINITY, 100]
  ] as const
  assert.equal(quantileOf(buckets, 0.5)!.toFixed(4), '0.0060')
  assert.equal(quantileOf(buckets, 0.99)!.toFixed(3), '0.091')
  assert.equal(
    quantileOf(
      [
        [1, 0],
        [Number.POSITIVE_INFINITY, 5]
      ],
      0.5
    ),
    1
  )
  assert.equal(quantileOf([[1, 0]], 0.5), null)
})
