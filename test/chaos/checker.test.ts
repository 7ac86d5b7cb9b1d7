import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFlawless, judge, type Verdict } from './checker.ts'
import type { Fault, Outcome, PeerEvent } from './history.ts'

const attempt = (id: string, at = 0): PeerEvent => ({ kind: 'attempt', at, id, from: 'a', to: 'b' })
const answer = (id: string, outcome: Outcome, at = 1): PeerEvent => ({ kind: 'answer', at, id, outcome })
const delivery = (id: string, at = 2, session = 1, to = 'b'): PeerEvent => {
  return { kind: 'delivery', at, id, from: 'a', to, session }
}
const sent = (id: string) => [attempt(id), answer(id, 'acknowledged')]
const fault = (from: number, to: number, changes: Partial<Fault> = {}): Fault => {
  return { name: 'f', from, to, stopsCommits: false, undoesReceipts: true, ...changes }
}

/** What the checker says, but for the counts. */
function wrong(events: readonly PeerEvent[], faults: readonly Fault[] = []) {
  const verdict = judge({ events, faults })
  const lists = Object.entries(verdict).filter(([, list]) => Array.isArray(list) && list.length > 0)
  assert.equal(isFlawless(verdict), lists.length === 0)
  return Object.fromEntries(lists) as Partial<Verdict>
}

test('a history in which everything arrives once and in order is flawless, and is counted', () => {
  const events = [
    ...sent('1'),
    ...sent('2'),
    attempt('3'),
    answer('3', 'refused'),
    attempt('4'),
    answer('4', 'unknown')
  ]
  const verdict = judge({ events: [...events, delivery('1'), delivery('2'), delivery('4')], faults: [] })
  const { attempted, acknowledged, refused, unknown, delivered, redelivered } = verdict
  assert.ok(isFlawless(verdict))
  assert.deepEqual(
    { attempted, acknowledged, refused, unknown, delivered, redelivered },
    { attempted: 4, acknowledged: 2, refused: 1, unknown: 1, delivered: 3, redelivered: 0 }
  )
})

test('an acknowledged message that never arrives is lost; one that was not acknowledged may be', () => {
  assert.deepEqual(wrong([...sent('1'), attempt('2'), attempt('3'), answer('3', 'unknown')]), { lost: ['1'] })
})

test('one that was acknowledged at its second attempt counts as acknowledged', () => {
  assert.deepEqual(wrong([attempt('1'), answer('1', 'unknown'), ...sent('1')]), { lost: ['1'] })
})

test('a second delivery wants a fault about the time of the first, and another session', () => {
  const twice = (session: number) => [...sent('1'), delivery('1', 10_000), delivery('1', 30_000, session)]
  assert.deepEqual(wrong(twice(2)), { duplicated: ['1'] })
  assert.deepEqual(wrong(twice(2), [fault(20_000, 21_000)]), { duplicated: ['1'] })
  assert.deepEqual(wrong(twice(2), [fault(11_000, 12_000)]), {})
  assert.deepEqual(wrong(twice(2), [fault(11_000, 12_000, { undoesReceipts: false })]), { duplicated: ['1'] })
  assert.deepEqual(wrong(twice(1), [fault(11_000, 12_000)]), { duplicated: ['1'] })
  assert.deepEqual(wrong([...twice(2), { kind: 'left', at: 11_000, peer: 'b' }]), {})
  assert.deepEqual(wrong([...twice(2), { kind: 'left', at: 11_000, peer: 'a' }]), { duplicated: ['1'] })
  assert.equal(judge({ events: twice(2), faults: [fault(11_000, 12_000)] }).redelivered, 1)
})

test('what nobody sent, what was refused, and what came to the wrong peer is unexpected', () => {
  assert.deepEqual(Object.keys(wrong([delivery('1')])), ['unexpected'])
  assert.deepEqual(Object.keys(wrong([attempt('1'), answer('1', 'refused'), delivery('1')])), ['unexpected'])
  assert.deepEqual(Object.keys(wrong([...sent('1'), delivery('1', 2, 1, 'c')])), ['unexpected'])
  assert.deepEqual(Object.keys(wrong([attempt('1'), answer('1', 'absurd')])), ['unexpected'])
})

test('a message overtaken by a later one of the same pair is out of order; a repetition is not', () => {
  assert.deepEqual(wrong([...sent('1'), ...sent('2'), delivery('2'), delivery('1')]), { outOfOrder: ['1'] })
  const again = [...sent('1'), ...sent('2'), delivery('1'), delivery('2'), delivery('1', 3, 2), delivery('2', 3, 2)]
  assert.deepEqual(wrong(again, [fault(2, 3)]), {})
  const retried = [attempt('1'), answer('1', 'unknown'), ...sent('2'), ...sent('1'), delivery('2'), delivery('1')]
  assert.deepEqual(wrong(retried), {})
})

test('a yes while nothing can be committed is false, and an answer that stays away is silence', () => {
  const events = [attempt('1', 5_000), answer('1', 'acknowledged', 8_000), delivery('1', 8_000)]
  assert.deepEqual(wrong(events, [fault(5_000, 10_000, { stopsCommits: true })]), { falseYes: ['1'] })
  assert.deepEqual(wrong(events, [fault(6_900, 10_000, { stopsCommits: true })]), {}) // may be about a commit just before
  assert.deepEqual(wrong([attempt('1'), { kind: 'silence', at: 9_000, id: '1' }]), { silent: ['1'] })
})
