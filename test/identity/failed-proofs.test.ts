import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailedProofs } from '../../src/identity/failed-proofs.ts'

test('failures count for a name at an address: neither neighbours nor the name elsewhere are shut out', () => {
  const failed = new FailedProofs(2)
  for (const _ of [1, 2]) failed.count('192.0.2.1', 'alice')
  assert.equal(failed.allows('192.0.2.1', 'alice'), false)
  assert.equal(failed.allows('192.0.2.1', 'bob'), true)
  assert.equal(failed.allows('192.0.2.2', 'alice'), true)
})

test('refusals of one address are answered later and later, up to 3 s, until it was quiet', () => {
  const failed = new FailedProofs(2)
  const waits = Array.from({ length: 300 }, (_, n) => failed.refused('192.0.2.1', n))
  assert.deepEqual(waits.slice(0, 22), [...Array(20).fill(0), 25, 50])
  assert.equal(waits.at(-1), 3_000)
  assert.equal(failed.refused('192.0.2.2', 300), 0)
  assert.equal(failed.refused('192.0.2.1', 20_000), 0)
})
