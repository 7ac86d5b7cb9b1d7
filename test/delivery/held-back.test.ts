// What one session of a peer has receipted and another owes: how much of it waits, and for how long.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SentEntry } from '../../src/delivery/delivery.ts'
import { HeldBack } from '../../src/delivery/held-back.ts'

const MINUTE_MS = 60_000
const MIB = 1_048_576

const sent = (seq: number, bytes = 10): SentEntry => ({
  ...{ seq, digest: null, bytes, slot: false, acceptedAt: 0, isReceipted: true, isSuspect: false }
})

test('entries are held back once each, in the order in which they came, until they are taken out', () => {
  const held = new HeldBack()
  for (const seq of [2, 1, 2, 3]) held.add(sent(seq))
  assert.deepEqual(
    held.entries.map(({ seq }) => seq),
    [2, 1, 3]
  )
  held.delete(1)
  held.delete(1)
  held.delete(9)
  assert.deepEqual(
    held.entries.map(({ seq }) => seq),
    [2, 3]
  )
})

test('more than 4,096 entries are more than the share of the slowest session', () => {
  const held = new HeldBack()
  for (let seq = 1; seq <= 4_096; seq++) held.add(sent(seq))
  held.add(sent(4_096))
  assert.equal(held.isTooMuch, false)
  held.add(sent(4_097))
  assert.equal(held.isTooMuch, true)
  held.delete(1)
  assert.equal(held.isTooMuch, false)
})

test('more than 64 MiB are more than its share, however few entries', () => {
  const held = new HeldBack()
  for (let seq = 1; seq <= 64; seq++) held.add(sent(seq, MIB))
  assert.equal(held.isTooMuch, false)
  held.add(sent(64, MIB))
  assert.equal(held.isTooMuch, false, 'it was held back already')
  held.add(sent(65, 1))
  assert.equal(held.isTooMuch, true)
  held.delete(65)
  held.delete(65)
  assert.equal(held.isTooMuch, false)
})

/** A session that was lost: it owed 2 and 4, had come to 5, and 8 was the last entry that was committed. */
const LOST = { unreceipted: new Set([2, 4]), cursor: 5, lastSeq: 8 }

test('what a lost session did not receipt is kept, and what it had not come to; nothing that came later', () => {
  const held = new HeldBack()
  assert.equal(held.isKept(2), false)
  held.lost(LOST, 0)
  const kept = Array.from({ length: 10 }, (_, seq) => seq).filter((seq) => held.isKept(seq))
  assert.deepEqual(kept, [2, 4, 6, 7, 8])
})

test('of several lost sessions each one keeps what it owes', () => {
  const held = new HeldBack()
  held.lost(LOST, 0)
  held.lost({ unreceipted: new Set([1]), cursor: 9, lastSeq: 9 }, 0)
  const kept = Array.from({ length: 10 }, (_, seq) => seq).filter((seq) => held.isKept(seq))
  assert.deepEqual(kept, [1, 2, 4, 6, 7, 8])
})

test('a session that comes reads everything, so nothing is kept for its return', () => {
  const held = new HeldBack()
  held.add(sent(2))
  held.lost(LOST, 0)
  held.returned()
  assert.deepEqual([held.isKept(2), held.giveUp(100 * MINUTE_MS), held.entries.length], [false, false, 1])
})

test('after ten minutes the return of a lost session is given up', () => {
  const held = new HeldBack()
  assert.equal(held.giveUp(0), false)
  held.lost(LOST, 0)
  held.lost({ unreceipted: new Set([1]), cursor: 9, lastSeq: 9 }, MINUTE_MS)
  assert.deepEqual([held.giveUp(10 * MINUTE_MS - 1), held.isKept(2)], [false, true])
  assert.deepEqual([held.giveUp(10 * MINUTE_MS), held.isKept(2), held.isKept(1)], [true, false, true])
  assert.deepEqual([held.giveUp(11 * MINUTE_MS), held.isKept(1)], [true, false])
})
