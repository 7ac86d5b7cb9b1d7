// What one sender, and one network, may store in a day, by a clock of the test.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DailyBytes } from '../../src/delivery/daily-bytes.ts'
import { roundTrip } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

const HOUR_MS = 3_600_000

function counted(limits: { sender?: number; network?: number }) {
  const clock = { now: 0 }
  const daily = new DailyBytes(
    { senderBytesPerDay: limits.sender ?? 0, networkBytesPerDay: limits.network ?? 0 },
    () => clock.now
  )
  const take = (sender: string, bytes: number, network = 'n') => daily.take({ network, sender, bytes })
  return { clock, take }
}

test('a sender stores as much as is allowed in a day at once, then as it comes back; others are not concerned', () => {
  const { clock, take } = counted({ sender: 24_000 })
  for (let n = 0; n < 24; n++) assert.equal(take('alice', 1_000), true)
  assert.equal(take('alice', 1), false)
  assert.deepEqual([take('bob', 1), take('alice', 1, 'another network')], [true, true])
  clock.now += HOUR_MS
  assert.deepEqual([take('alice', 1_000), take('alice', 1)], [true, false])
  clock.now += 100 * 24 * HOUR_MS
  assert.deepEqual([take('alice', 24_000), take('alice', 1)], [true, false], 'no more than a day is saved up')
})

test('the senders of a network share its total; without limits anything goes', () => {
  const { take } = counted({ sender: 10_000, network: 15_000 })
  assert.deepEqual([take('alice', 10_000), take('bob', 5_000), take('carol', 1)], [true, true, false])
  assert.equal(take('carol', 1, 'another network'), true)
  const unlimited = counted({})
  for (let n = 0; n < 10; n++) assert.equal(unlimited.take('alice', 1e12), true)
})

test('who has stored too much today is told so, and others are served', async (t) => {
  const server = await startTestServer(t, { SENDER_MEGABYTES_PER_DAY: 1 })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  const send = { type: 'message', payload: { targetId: 'bob', message: 'x'.repeat(250_000) } }
  for (let n = 0; n < 5; n++) alice.send(send)
  const refused = (await roundTrip(alice)).filter(({ type }) => type === 'error')
  assert.deepEqual(
    refused.map(({ payload }) => payload.details),
    ['This sender has stored too much in the last 24 hours. Please send less, or later.']
  )
  for (let n = 0; n < 4; n++) await bob.next('message')
  bob.send({ type: 'message', payload: { targetId: 'alice', message: 'hello' } })
  assert.equal((await alice.next('message')).payload.message, 'hello')
})
