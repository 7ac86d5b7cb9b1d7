import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { GroupCommit } from '../../src/delivery/group-commit.ts'
import type { BatchFailure } from '../../src/util/batcher.ts'

interface Item {
  readonly network: string
  readonly sender: string
  readonly recipient: string
  readonly bytes: number
  readonly slot: boolean
  readonly number: number
}

/** Of a group that is written when `held` says so. */
const HELD = -1

/** Groups that take a moment to be written, and what was written, in the order in which the writing ended. */
function groups(msOf: (batch: readonly Item[]) => number, waitingMessages = 100_000, held?: Promise<void>) {
  const written: Item[] = []
  const sizes: number[] = []
  let underWay = 0
  let mostUnderWay = 0
  const commit = new GroupCommit<Item, true>({
    write: async (batch) => {
      sizes.push(batch.length)
      mostUnderWay = Math.max(mostUnderWay, ++underWay)
      const ms = msOf(batch)
      await (ms === HELD ? held : delay(ms))
      underWay -= 1
      written.push(...batch)
      return batch.map(() => true)
    },
    limits: { waitingMessages, waitingBytes: 1_000_000, deadlineMs: 60_000 },
    failed: (error) => assert.fail(String(error))
  })
  const add = (recipient: string, number: number, { sender = 's', slot = false } = {}) =>
    new Promise<true | BatchFailure>((done) =>
      commit.add({ ...{ network: 'n', sender, recipient, bytes: 1, slot, number } }, done)
    )
  return { commit, add, written, sizes, most: () => mostUnderWay }
}

test('few messages of many recipients share a group, one after the other', async () => {
  const { commit, add, sizes, most } = groups(() => 5)
  add('r0', 0)
  while (sizes.length === 0) await delay(1)
  for (let number = 1; number <= 20; number++) add(`r${number}`, number)
  await commit.drained()
  assert.deepEqual(sizes, [1, 20])
  assert.equal(most(), 1)
})

test('of many, one group is prepared while another is written', async () => {
  const { commit, add, most } = groups(() => 5)
  for (let number = 0; number < 1_000; number++) add(`r${number}`, number)
  await commit.drained()
  assert.equal(most(), 2)
})

test('messages of one recipient are written in their order, whatever the groups take', async () => {
  const { commit, add, written, most } = groups(() => Math.random() * 6)
  for (let number = 0; number < 4_000; number++) {
    const sender = `s${Math.floor(Math.random() ** 4 * 100)}`
    add(`r${Math.floor(Math.random() * 60)}`, number, { sender, slot: Math.random() < 0.3 })
    if (Math.random() < 0.03) await delay(1)
  }
  await commit.drained()
  assert.ok(most() > 2, 'several partitions were busy')
  assert.equal(written.length, 4_000)
  const last = new Map<string, number>()
  for (const { recipient, number } of written) {
    assert.ok(number > (last.get(recipient) ?? -1), `${number} to ${recipient} was overtaken`)
    last.set(recipient, number)
  }
})

test('who has little under way is not kept waiting by those who have much, nor by the locks of quotas', async () => {
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  const { commit, add } = groups((batch) => (batch.some(({ sender }) => sender === 'flood') ? HELD : 1), 400, held)
  const flood = (number: number) => add(`r${number}`, number, { sender: 'flood', slot: number % 2 === 0 })
  for (let number = 0; number < 200; number++) void flood(number)
  await delay(10)
  const waiting = Array.from({ length: 350 }, (_, number) => flood(200 + number))
  assert.equal(await add('friend', 1, { sender: 'quiet' }), true)
  assert.equal(await add('friend', 2, { sender: 'quiet' }), true)
  release()
  const results = await Promise.all(waiting)
  assert.equal(results.filter((result) => result === 'busy').length, 50, 'the flood may use three quarters of 400')
  await commit.drained()
})

test('a message to a recipient whose mailbox is flooded waits behind the flood: places follow acceptance', async () => {
  const { commit, add, written } = groups(() => 2)
  for (let number = 0; number < 200; number++) void add('r', number, { sender: 'flood' })
  await add('r', 200, { sender: 'quiet' })
  assert.equal(written.at(-1)!.number, 200)
  await commit.drained()
})
