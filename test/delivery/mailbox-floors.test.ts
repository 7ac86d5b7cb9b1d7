import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MailboxFloors } from '../../src/delivery/mailbox-floors.ts'

const BOX = { network: 'n', recipient: 'r' }
const OTHER = { network: 'n', recipient: 's' }

/** Floors a minute after the start, and a clock that the test moves. */
function prepared() {
  let now = 0
  const floors = new MailboxFloors(() => now)
  const pass = (ms: number) => {
    now += ms
  }
  pass(60_000)
  return { floors, pass }
}

/** A write that ends when it is told to. */
function openWrite(floors: MailboxFloors) {
  let [answer, fail] = [() => {}, () => {}]
  const answered = new Promise<void>((resolve, reject) => {
    answer = resolve
    fail = () => reject(new Error('no answer'))
  })
  const done = floors.writing([], () => answered).catch(() => {})
  return { done, answer, fail }
}

test('a mailbox that is empty has its floor at the last place that was seen', () => {
  const { floors } = prepared()
  assert.equal(floors.of(BOX), 0)
  floors.saw(7)
  floors.isEmpty(BOX)
  assert.deepEqual([floors.of(BOX), floors.of(OTHER)], [7, 0])
})

test('no floor is above what a write under way may store, until everybody has heard of it', async () => {
  const { floors, pass } = prepared()
  floors.saw(3)
  const write = openWrite(floors)
  floors.saw(9) // of another write, which began later and was quicker
  floors.isEmpty(BOX)
  assert.equal(floors.of(BOX), 3)
  write.answer()
  await write.done
  floors.isEmpty(BOX)
  assert.equal(floors.of(BOX), 3, 'its messages are not counted yet')
  pass(1_001)
  floors.isEmpty(BOX)
  assert.equal(floors.of(BOX), 9)
})

test('the first of several writes decides, however they end', async () => {
  const { floors, pass } = prepared()
  floors.saw(1)
  const first = openWrite(floors)
  floors.saw(2)
  const second = openWrite(floors)
  floors.saw(5)
  second.answer()
  await second.done
  pass(5_000)
  assert.equal(floors.settled, 1)
  first.answer()
  await first.done
  pass(5_000)
  assert.equal(floors.settled, 5)
})

test('a write that got no answer may be carried out for a minute more; so may one of the server before', async () => {
  const { floors, pass } = prepared()
  floors.saw(4)
  const write = openWrite(floors)
  floors.saw(8)
  write.fail()
  await write.done
  pass(59_999)
  assert.equal(floors.settled, 4)
  pass(1)
  assert.equal(floors.settled, 8)
  const young = new MailboxFloors(() => 0)
  young.saw(8)
  assert.equal(young.settled, 0)
})

test('a read says where the first entry is, as far as it was settled when it was asked', () => {
  const { floors } = prepared()
  floors.saw(20)
  floors.wasRead(BOX, floors.settled, 12)
  assert.equal(floors.of(BOX), 11)
  floors.wasRead(BOX, 15, 0)
  assert.equal(floors.of(BOX), 15)
  floors.wasRead(BOX, 15, 13)
  assert.equal(floors.of(BOX), 15, 'what an older read says is no news')
})

test('an entry that was not known of is above the floor again', () => {
  const { floors } = prepared()
  floors.saw(9)
  floors.isEmpty(BOX)
  floors.stays(BOX, 5)
  assert.equal(floors.of(BOX), 4)
  floors.stays(BOX, 7)
  assert.equal(floors.of(BOX), 4)
})

test('a database that gives places anew, after it went back, has no floors for a minute', async () => {
  const { floors, pass } = prepared()
  await floors.writing([{ seq: 8 }, { seq: 0 }, { seq: 9 }], async () => {})
  pass(1_001)
  floors.isEmpty(BOX)
  assert.equal(floors.of(BOX), 9)
  await floors.writing([{ seq: 6 }], async () => {})
  assert.equal(floors.of(BOX), 0)
  floors.isEmpty(BOX)
  assert.equal(floors.of(BOX), 0)
  pass(60_000)
  floors.isEmpty(BOX)
  assert.equal(floors.of(BOX), 6)
})
