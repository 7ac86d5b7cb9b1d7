import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { PingBarrier } from '../../src/delivery/ping-barrier.ts'

function barrier() {
  const pings: Buffer[] = []
  const passed: number[] = []
  const seen = { doubled: 0 }
  const under = new PingBarrier({
    ping: (payload) => void pings.push(payload),
    passed: (count) => void passed.push(count),
    doubled: () => {
      seen.doubled += 1
    }
  })
  return { under, pings, passed, seen }
}

test('a pong covers everything written before its ping, and nothing after it', async () => {
  const { under, pings, passed } = barrier()
  under.wrote(3, true)
  await setTimeout(5)
  under.wrote(5, true) // a ping is under way: this one waits
  await setTimeout(5)
  assert.equal(pings.length, 1)
  under.pong(pings[0]!)
  assert.deepEqual(passed, [3])
  await setTimeout(100)
  assert.equal(pings.length, 2)
  under.pong(pings[1]!)
  assert.deepEqual(passed, [3, 5])
  under.stop()
})

test('a ping carries a cumulative counter and the nonce of its connection', async () => {
  const [one, other] = [barrier(), barrier()]
  for (const { under } of [one, other]) under.wrote(7, true)
  await setTimeout(5)
  const [mine, foreign] = [one.pings[0]!, other.pings[0]!]
  assert.equal(mine.length, 16)
  assert.equal(mine.readBigUInt64BE(), 7n)
  assert.notDeepEqual(mine.subarray(8), foreign.subarray(8))
  for (const pong of [foreign, Buffer.alloc(0), Buffer.alloc(16), mine.subarray(0, 15)]) one.under.pong(pong)
  const ahead = Buffer.from(mine)
  ahead.writeBigUInt64BE(8n)
  one.under.pong(ahead)
  assert.deepEqual([one.passed, one.seen.doubled], [[], 0])
  one.under.pong(mine)
  assert.deepEqual(one.passed, [7])
})

test('the same pong twice gives a proxy away, once', async () => {
  const { under, pings, passed, seen } = barrier()
  under.wrote(1, true)
  await setTimeout(5)
  under.pong(pings[0]!)
  assert.equal(seen.doubled, 0)
  under.pong(pings[0]!)
  assert.deepEqual([passed, seen.doubled], [[1], 1])
})

test('many writes share a ping', async () => {
  const { under, pings } = barrier()
  for (let count = 1; count <= 1_000; count++) under.wrote(count, false)
  await setTimeout(100)
  assert.equal(pings.length, 1)
  assert.equal(pings[0]!.readBigUInt64BE(), 1_000n)
  under.stop()
})

test('a stopped barrier pings nobody and believes nothing', async () => {
  const { under, pings, passed } = barrier()
  under.wrote(1, true)
  await setTimeout(5)
  under.stop()
  under.pong(pings[0]!)
  under.wrote(2, true)
  await setTimeout(20)
  assert.deepEqual([pings.length, passed], [1, []])
})
