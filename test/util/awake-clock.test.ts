// Time in which the process was awake: deadlines of peers do not run while it could not have heard them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { AwakeClock, awakeTimeout } from '../../src/util/awake-clock.ts'
import { stopTime } from '../helpers/stop-time.ts'

function clockOf(t: TestContext) {
  const time = stopTime(t)
  const clock = new AwakeClock()
  t.after(() => clock.close())
  const steps: number[] = []
  clock.onStep((now) => void steps.push(now))
  return { clock, steps, ...time }
}

test('it moves once a second by what has passed, and tells its listeners', async (t) => {
  const { clock, steps, stall, advance } = clockOf(t)
  assert.equal(clock.now, 0)
  await advance(1_000)
  stall(200) // a little late
  await advance(1_000)
  assert.deepEqual([clock.now, steps], [2_200, [1_000, 2_200]])
})

test('a step that came more than a step late counts for nothing and calls nobody', async (t) => {
  const { clock, steps, stall, advance } = clockOf(t)
  await advance(1_000)
  stall(1_001)
  await advance(1_000)
  assert.deepEqual([clock.now, steps], [1_000, [1_000]])
  await advance(1_000)
  assert.deepEqual([clock.now, steps], [2_000, [1_000, 2_000]])
})

test('what is noted just before a step is as old at it as it is', async (t) => {
  const { clock, steps, advance } = clockOf(t)
  await advance(1_000)
  await advance(990)
  const noted = clock.now
  await advance(10)
  assert.deepEqual([noted, steps], [1_990, [1_000, 2_000]])
})

test('it never goes back, though a step counts for nothing', async (t) => {
  const { clock, steps, stall, advance } = clockOf(t)
  await advance(1_000)
  stall(5_000)
  assert.equal(clock.now, 2_000) // it has run for a step, and no further
  for (const _ of [1, 2, 3]) await advance(1_000)
  assert.deepEqual([clock.now, steps], [3_000, [1_000, 2_000, 3_000]])
})

test('a step that came just a step late counts', async (t) => {
  const { clock, stall, advance } = clockOf(t)
  stall(1_000)
  await advance(1_000)
  assert.equal(clock.now, 2_000)
})

test('a closed clock stands still and calls nobody', async (t) => {
  const { clock, steps, advance } = clockOf(t)
  clock.close()
  for (const _ of [1, 2, 3]) await advance(1_000)
  assert.deepEqual([clock.now, steps], [0, []])
})

/** A timeout of so many ms that notes its end. */
function timeoutOf(t: TestContext, ms: number) {
  const time = stopTime(t)
  const expired: string[] = []
  const cancel = awakeTimeout(ms, () => void expired.push('expired'))
  return { cancel, expired, ...time }
}

test('a timeout expires once, after its time', async (t) => {
  const { expired, advance } = timeoutOf(t, 5_000)
  await advance(4_999)
  assert.deepEqual(expired, [])
  await advance(1)
  await advance(60_000)
  assert.deepEqual(expired, ['expired'])
})

test('a timeout that fires late because the process slept waits again, for a second at most', async (t) => {
  const { expired, stall, advance } = timeoutOf(t, 5_000)
  stall(60_000)
  await advance(5_000)
  assert.deepEqual(expired, [])
  await advance(999)
  assert.deepEqual(expired, [])
  await advance(1)
  assert.deepEqual(expired, ['expired'])
})

test('a short timeout waits again as long as before', async (t) => {
  const { expired, stall, advance } = timeoutOf(t, 200)
  stall(1_000)
  await advance(200)
  assert.deepEqual(expired, [])
  await advance(200)
  assert.deepEqual(expired, ['expired'])
})

test('it waits as often as the process sleeps', async (t) => {
  const { expired, stall, advance } = timeoutOf(t, 1_000)
  for (let sleeps = 0; sleeps < 3; sleeps++) {
    stall(5_000)
    await advance(1_000)
    assert.deepEqual(expired, [])
  }
  await advance(1_000)
  assert.deepEqual(expired, ['expired'])
})

test('a timeout that is cancelled does not expire, also while it waits again or when it is just over', async (t) => {
  const before = timeoutOf(t, 1_000)
  before.cancel()
  await before.advance(1_000)
  const cancelAgain = awakeTimeout(1_000, () => assert.fail('it was cancelled while it waited again'))
  before.stall(5_000)
  await before.advance(1_000)
  cancelAgain()
  const cancelLate = awakeTimeout(1_000, () => assert.fail('it was cancelled when it was over'))
  const isOver = before.advance(1_000)
  cancelLate()
  await isOver
  await before.advance(10_000)
  assert.deepEqual(before.expired, [])
})

/** Nothing runs meanwhile: what a long turn, a stopped process or a suspended machine is to its sockets. */
function blockEventLoop(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

/** A socket, and the end of it that the test holds. */
async function connection(t: TestContext): Promise<{ here: Socket; there: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const there = createConnection((server.address() as { port: number }).port, '127.0.0.1')
  const [here] = (await once(server, 'connection')) as [Socket]
  t.after(() => {
    there.destroy()
    server.close()
  })
  return { here, there }
}

test('a process that was busy for seconds hears what came meanwhile before a deadline is over', async (t) => {
  const clock = new AwakeClock()
  t.after(() => clock.close())
  const { here, there } = await connection(t)
  const order: string[] = []
  const step = new Promise<number>((resolve) => clock.onStep(resolve))
  const expired = new Promise<void>((resolve) => {
    awakeTimeout(1_500, () => {
      order.push('expired')
      resolve()
    })
  })
  here.on('data', (data) => order.push(String(data)))
  there.write('an answer')
  blockEventLoop(3_000)
  await turn()
  assert.ok(clock.now < 3_000)
  await expired
  assert.deepEqual(order, ['an answer', 'expired'])
  assert.ok((await step) <= 2_000, 'the time in which nothing could be heard does not count')
})
