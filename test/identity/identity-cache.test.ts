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
  cache.set('net', 'peer', NEW)
  answer(OLD)
  assert.equal(await lookedUp, NEW)
  assert.equal(cache.peek('net', 'peer')?.identity, NEW)
})

test('the same where an older key was known and no longer believed', async () => {
  const { cache, time, answer } = setUp()
  cache.set('net', 'peer', OLD)
  time.now += 10_000
  const lookedUp = cache.get('net', 'peer')
  cache.set('net', 'peer', NEW)
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
