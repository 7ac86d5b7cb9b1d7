import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { GroupCommit } from '../../src/delivery/group-commit.ts'

interface Item {
  readonly recipient: string
  readonly bytes: number
  readonly number: number
}

/** Groups that take a moment to be written, and what was written, in the order in which the writing ended. */
function groups(msOf: () => number) {
  const written: Item[] = []
  const sizes: number[] = []
  let underWay = 0
  let mostUnderWay = 0
  const commit = new GroupCommit<Item, true>({
    write: async (batch) => {
      sizes.push(batch.length)
      mostUnderWay = Math.max(mostUnderWay, ++underWay)
      await delay(msOf())
      underWay -= 1
      written.push(...batch)
      return batch.map(() => true)
    },
    limits: { waitingMessages: 100_000, waitingBytes: 1_000_000, deadlineMs: 60_000 },
    failed: (error) => assert.fail(String(error))
  })
  const add = (recipient: string, number: number) => commit.add({ recipient, bytes: 1, number }, () => {})
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
    add(`r${Math.floor(Math.random() * 60)}`, number)
    if (Math.random() < 0.03) await delay(1)
  }
  await commit.drained()
  assert.equal(most(), 2)
  assert.equal(written.length, 4_000)
  const last = new Map<string, number>()
  for (const { recipient, number } of written) {
    assert.ok(number > (last.get(recipient) ?? -1), `${number} to ${recipient} was overtaken`)
    last.set(recipient, number)
  }
})
