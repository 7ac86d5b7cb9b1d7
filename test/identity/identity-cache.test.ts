import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IdentityCache } from '../../src/identity/identity-cache.ts'
import type { Identity } from '../../src/store/identity.ts'

const OLD: Identity = { encryptionKey: Uint8Array.of(1), keyId: 'old' }
const NEW: Identity = { encryptionKey: Uint8Array.of(2), keyId: 'new' }

/** A cache over a database whose answers the test gives, one for each look-up. */
function setUp() {
  const waiting: ((identity: Identity | undefined) => void)[] = []
  const time = { now: 1_000_000 }
  const find = () => new Promise<Identity | undefined>((resolve) => waiting.push(resolve))
  const cache = new IdentityCache(find, () => time.now)
  return { cache, time, waiting, answer: (identity: Identity | undefined) => waiting.shift()!(identity) }
}

test('a key that is registered while an older one is looked up stays, and is what the look-up finds', async () => {
  const { cache, answer } = setUp()
  const lookedUp = cache.get('net', 'peer')
  cache.renew('net', 'peer', NEW)
  answer(OLD)
  assert.equal(await lookedUp, NEW)
  assert.equal(cache.peek('net', 'peer')?.identity, NEW)
})

test('the same where an older key was known and no longer believed', async () => {
  const { cache, time, answer } = setUp()
  const first = cache.get('net', 'peer')
  answer(OLD)
  await first
  time.now += 10_000
  const lookedUp = cache.get('net', 'peer')
  cache.renew('net', 'peer', NEW)
  answer(OLD)
  assert.equal(await lookedUp, NEW)
  assert.equal(cache.peek('net', 'peer')?.identity, NEW)
})

test('what a look-up finds is believed for ten seconds, that there is nobody too', async () => {
  const { cache, time, waiting, answer } = setUp()
  for (const identity of [undefined, OLD]) {
    const lookedUp = cache.get('net', 'peer')
    answer(identity)
    assert.equal(await lookedUp, identity)
    time.now += 9_999
    assert.equal(await cache.get('net', 'peer'), identity)
    assert.equal(waiting.length, 0)
    time.now += 1
  }
})

test('a key that another relay changes while an older one is looked up is looked up again', async () => {
  const { cache, waiting, answer } = setUp()
  const lookedUp = cache.get('net', 'peer')
  cache.forget('net', 'peer')
  const next = cache.get('net', 'peer')
  answer(OLD)
  assert.equal(await lookedUp, OLD)
  assert.equal(cache.peek('net', 'peer'), undefined)
  answer(NEW)
  assert.equal(await next, NEW)
  assert.equal(cache.peek('net', 'peer')?.identity, NEW)
  assert.equal(waiting.length, 0)
})

test('who asks while a look-up is under way shares it, also when it fails; the next one tries again', async () => {
  let isAway = true
  let lookUps = 0
  const find = async () => {
    lookUps += 1
    if (isAway) throw new Error('away')
    return OLD
  }
  const cache = new IdentityCache(find, () => 0)
  const failed = await Promise.allSettled([cache.get('net', 'peer'), cache.get('net', 'peer')])
  assert.deepEqual([failed.map(({ status }) => status), lookUps], [['rejected', 'rejected'], 1])
  isAway = false
  assert.deepEqual(await Promise.all([cache.get('net', 'peer'), cache.get('net', 'peer')]), [OLD, OLD])
  assert.equal(lookUps, 2)
})

test('the key of a peer that nobody asks for is not kept', () => {
  const { cache } = setUp()
  cache.renew('net', 'peer', NEW)
  assert.equal(cache.peek('net', 'peer'), undefined)
})
