// What counts as a receipt, and how long a browser's receipts wait.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SentEntry } from '../../src/delivery/delivery.ts'
import { Grace, strengthFor } from '../../src/delivery/receipts.ts'

const sent = (seq: number): SentEntry => ({
  ...{ seq, digest: null, bytes: 10, slot: false, acceptedAt: 0, isReceipted: true, isSuspect: false }
})
const seqs = (entries: readonly SentEntry[]) => entries.map(({ seq }) => seq)

test('a client that offers to acknowledge receipts by acks and others by pongs, unless one way is set for all', () => {
  assert.equal(strengthFor('auto', ['ack']), 'ack')
  assert.equal(strengthFor('auto', ['other', 'ack']), 'ack')
  assert.equal(strengthFor('auto', []), 'pong')
  assert.equal(strengthFor('auto', ['ACK', 'acknowledge']), 'pong')
  for (const mode of ['ack', 'pong', 'none'] as const) {
    for (const features of [[], ['ack']]) assert.equal(strengthFor(mode, features), mode)
  }
})

test('what was receipted is kept for the grace, and returned once', () => {
  const grace = new Grace(10_000)
  assert.deepEqual(grace.add([sent(1), sent(2)], 1_000), [])
  grace.add([sent(3)], 5_000)
  assert.deepEqual(grace.over(10_999), [])
  assert.deepEqual(seqs(grace.over(11_000)), [1, 2])
  assert.deepEqual(grace.over(11_000), [])
  assert.deepEqual(seqs(grace.over(60_000)), [3])
})

test('without a grace everything is over at once', () => {
  const grace = new Grace(0)
  grace.add([sent(1)], 1_000)
  assert.deepEqual(seqs(grace.over(1_000)), [1])
})

test('at the end everything that is kept is returned, once', () => {
  const grace = new Grace(10_000)
  grace.add([sent(1)], 0)
  grace.add([sent(2)], 9_000)
  assert.deepEqual(seqs(grace.all()), [1, 2])
  assert.deepEqual([grace.all(), grace.over(100_000)], [[], []])
})

test('of more than 4,096 entries the oldest leave early', () => {
  const grace = new Grace(10_000)
  const many = (from: number, count: number) => Array.from({ length: count }, (_, place) => sent(from + place))
  assert.deepEqual(grace.add(many(1, 4_096), 0), [])
  assert.deepEqual(seqs(grace.add(many(4_097, 2), 1)), [1, 2])
  assert.equal(grace.all().length, 4_096)
  assert.deepEqual(seqs(grace.add(many(1, 5_000), 2)), seqs(many(1, 904)))
})
