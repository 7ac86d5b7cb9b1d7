// How much waits in the mailbox of a connected recipient: exact from the moment its first session is registered.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MailboxCounter, MailboxCounters } from '../../src/delivery/mailbox-counter.ts'

const ROOMY = { messages: 100, bytes: 1_000 }
const EMPTY = { entries: 0, bytes: 0, lastSeq: 0 }

const holds = ({ entries, bytes }: MailboxCounter) => [entries, bytes]

function counting(contents = EMPTY): MailboxCounter {
  const counter = new MailboxCounter()
  counter.load(contents)
  return counter
}

test('what was committed while the mailbox was looked into counts once: in what was found, or after it', () => {
  const counter = new MailboxCounter()
  assert.equal(counter.isCounting, false)
  counter.committed({ seq: 7, bytes: 10 }) // found
  counter.committed({ seq: 8, bytes: 20 }) // found, the last one
  counter.committed({ seq: 9, bytes: 40 })
  counter.load({ entries: 3, bytes: 100, lastSeq: 8 })
  assert.deepEqual([counter.isCounting, ...holds(counter)], [true, 4, 140])
})

test('entries that were committed out of the order of their places count by their places', () => {
  const counter = new MailboxCounter()
  for (const seq of [9, 8]) counter.committed({ seq, bytes: 10 })
  counter.load({ entries: 1, bytes: 10, lastSeq: 8 })
  assert.deepEqual(holds(counter), [2, 20])
})

test('a second session that looks into the mailbox changes nothing', () => {
  const counter = counting({ entries: 2, bytes: 30, lastSeq: 5 })
  counter.load({ entries: 9, bytes: 99, lastSeq: 9 })
  assert.deepEqual(holds(counter), [2, 30])
})

test('after that each entry that is committed for a recipient that was away counts', () => {
  const counter = counting({ entries: 1, bytes: 10, lastSeq: 5 })
  counter.committed({ seq: 4, bytes: 5 }) // a group that was committed late
  assert.deepEqual(holds(counter), [2, 15])
})

test('room is taken up to the limits of messages and bytes, both included', () => {
  const byMessages = counting()
  assert.deepEqual(
    [1, 1, 1].map((bytes) => byMessages.reserve(bytes, { messages: 2, bytes: 100 })),
    [true, true, false]
  )
  const byBytes = counting()
  assert.deepEqual(
    [60, 41, 40, 1].map((bytes) => byBytes.reserve(bytes, { messages: 10, bytes: 100 })),
    [true, false, true, false]
  )
  assert.deepEqual(
    [holds(byMessages), holds(byBytes)],
    [
      [2, 2],
      [2, 100]
    ]
  )
})

test('what is given back makes room again', () => {
  const counter = counting()
  assert.equal(counter.reserve(100, { messages: 1, bytes: 100 }), true)
  counter.giveBack(100)
  assert.deepEqual(holds(counter), [0, 0])
  assert.equal(counter.reserve(100, { messages: 1, bytes: 100 }), true)
})

test('what was found in the mailbox counts against the limit, and what is reserved before that is not lost', () => {
  const counter = counting({ entries: 2, bytes: 900, lastSeq: 2 })
  assert.deepEqual([counter.reserve(101, ROOMY), counter.reserve(100, ROOMY)], [false, true])
})

test('all sessions of a recipient share one counter, and those of others have their own', () => {
  const counters = new MailboxCounters()
  const counter = counters.open('n', 'r')
  assert.equal(counters.open('n', 'r'), counter)
  assert.deepEqual([counter.sessions, counters.find('n', 'r')], [2, counter])
  assert.notEqual(counters.open('n', 'other'), counter)
  assert.notEqual(counters.open('other', 'r'), counter)
  assert.equal(counters.find('n', 'nobody'), undefined)
})

test('a counter lives until its last session is over', () => {
  const counters = new MailboxCounters()
  const counter = counters.open('n', 'r')
  counters.open('n', 'r')
  counters.close('n', 'r', counter)
  assert.equal(counters.find('n', 'r'), counter)
  counters.close('n', 'r', counter)
  assert.equal(counters.find('n', 'r'), undefined)
  assert.notEqual(counters.open('n', 'r'), counter)
})

test('a counter lives until what is being released has left, and a session that comes meanwhile finds it exact', () => {
  const counters = new MailboxCounters()
  const counter = counters.open('n', 'r')
  counter.load({ entries: 3, bytes: 30, lastSeq: 3 })
  counter.releasing = 2
  counters.close('n', 'r', counter)
  counters.released('n', 'r', counter, 10)
  const again = counters.open('n', 'r')
  assert.deepEqual([again === counter, ...holds(again)], [true, 2, 20])
  counters.released('n', 'r', counter, 10)
  assert.deepEqual([counters.find('n', 'r'), ...holds(counter)], [counter, 1, 10])
  counters.close('n', 'r', counter)
  assert.equal(counters.find('n', 'r'), undefined)
})

test('an entry that could not be released still counts', () => {
  const counters = new MailboxCounters()
  const counter = counters.open('n', 'r')
  counter.load({ entries: 1, bytes: 10, lastSeq: 1 })
  counter.releasing = 1
  counters.released('n', 'r', counter, undefined)
  assert.deepEqual([counter.releasing, ...holds(counter)], [0, 1, 10])
})

test('a counter that is over does not take its successor with it', () => {
  const counters = new MailboxCounters()
  const old = counters.open('n', 'r')
  counters.close('n', 'r', old)
  const young = counters.open('n', 'r')
  old.sessions = 1
  counters.close('n', 'r', old)
  assert.equal(counters.find('n', 'r'), young)
})
