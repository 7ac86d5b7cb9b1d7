// When an old client is sent notifications: not between a call and its reply, nor while it may make its next call.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RepliesFirst } from '../../src/session/replies-first.ts'
import { stopTime } from '../helpers/stop-time.ts'

/** A client that was just registered; its ping is under way. */
function registered(t: TestContext) {
  const time = stopTime(t)
  const requests = { open: 0 }
  const policy = new RepliesFirst(() => requests.open > 0)
  const sent: string[] = []
  const notify = (name: string) => policy.notify(() => void sent.push(name))
  return { policy, requests, sent, notify, ...time }
}

/** The same after its first quiet; the way there and back takes 30 ms, so the quiet is 130. */
async function quiet(t: TestContext) {
  const all = registered(t)
  await all.advance(30)
  all.policy.pong()
  await all.advance(130)
  return all
}

test('while it is quiet a notification is sent at once', async (t) => {
  const { sent, notify } = await quiet(t)
  notify('a')
  assert.deepEqual(sent, ['a'])
})

test('after a frame of the client notifications wait for a round trip and 100 ms, and keep their order', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  policy.called()
  notify('a')
  await advance(25)
  notify('b')
  await advance(104)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a', 'b'])
})

test('the next call of the client puts the quiet off', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  policy.called()
  notify('a')
  await advance(40)
  policy.called()
  await advance(129)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a'])
})

test('while a request is open notifications wait, and after its reply for the quiet', async (t) => {
  const { policy, requests, sent, notify, advance } = await quiet(t)
  policy.called()
  requests.open = 1
  notify('a')
  for (let ms = 0; ms < 400; ms += 20) await advance(20)
  assert.deepEqual(sent, [])
  requests.open = 0
  policy.called() // it hears the reply, and calls again
  await advance(129)
  assert.deepEqual(sent, [])
  await advance(20)
  assert.deepEqual(sent, ['a'])
})

test('the round trip that was measured last is the one that counts', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  policy.measured(200)
  policy.called()
  notify('a')
  await advance(299)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a'])
})

test('after a registration the first quiet begins with the first pong', async (t) => {
  const { policy, sent, notify, advance } = registered(t)
  notify('a')
  await advance(400)
  policy.pong() // so the way takes 400 ms: the client may have heard the reply only now
  await advance(499)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a'])
})

test('a second pong, which answers another ping, says nothing of the way', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  await advance(5_000)
  policy.pong()
  policy.called()
  notify('a')
  await advance(130)
  assert.deepEqual(sent, ['a'])
})

test('without a pong notifications are sent a second after the registration, even if the client calls', async (t) => {
  const { policy, sent, notify, advance } = registered(t)
  await advance(500)
  policy.called()
  notify('a')
  await advance(499)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a'])
  notify('b')
  assert.deepEqual(sent, ['a', 'b'])
})

test('while the client calls without a pause notifications wait, directly behind a reply, too, but not over 20 s', async (t) => {
  const { policy, requests, sent, notify, advance } = await quiet(t)
  policy.called()
  notify('a')
  for (let ms = 40; ms < 20_000; ms += 40) {
    await advance(40)
    policy.called()
    requests.open = 1
    policy.replied(ms % 80 === 0)
    requests.open = 0
    if (ms === 10_000) notify('b')
  }
  assert.deepEqual(sent, [])
  await advance(40)
  assert.deepEqual(sent, ['a', 'b'])
})

test('a client that asked for a key and sends nothing is waited for no longer than a second', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  policy.called()
  policy.replied(true)
  notify('a')
  await advance(999)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a'])
})

test('a round trip of many seconds makes no notification wait longer than a second', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  policy.measured(30_000)
  policy.called()
  notify('a')
  await advance(999)
  assert.deepEqual(sent, [])
  await advance(1)
  assert.deepEqual(sent, ['a'])
})

test('a notification that comes before those that waited were sent does not overtake them', async (t) => {
  const { policy, sent, notify, stall, advance } = await quiet(t)
  policy.called()
  notify('a')
  stall(140)
  notify('b')
  assert.deepEqual(sent, [])
  await advance(130)
  assert.deepEqual(sent, ['a', 'b'])
})

test('once stopped it sends nothing of what waited', async (t) => {
  const { policy, sent, notify, advance } = await quiet(t)
  policy.called()
  notify('a')
  policy.stop()
  for (let rounds = 0; rounds < 4; rounds++) await advance(500)
  assert.deepEqual(sent, [])
})
