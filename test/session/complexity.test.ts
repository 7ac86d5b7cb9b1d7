// Frames that would take long to parse, told without parsing them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTooComplex } from '../../src/protocol/complexity.ts'
import { MAX_OPAQUE_VALUES, opaqueFault } from '../../src/protocol/opaque.ts'

const judge = (text: string) => isTooComplex(Buffer.from(text))

test('any body that may be relayed passes, whatever its values are', () => {
  const count = MAX_OPAQUE_VALUES - 1
  const bodies = [
    Array.from({ length: count }, () => []),
    Array.from({ length: count }, (_, n) => `"[{,${n}\\`),
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`key "${n}"`, {}])),
    '[{,'.repeat(40_000),
    '\\"[{,'.repeat(20_000)
  ]
  for (const body of bodies) {
    assert.equal(opaqueFault(body), undefined)
    assert.equal(judge(JSON.stringify({ type: 'message', payload: { targetId: 'x', message: body } })), false)
  }
})

test('frames of far too many values or levels do not', () => {
  assert.equal(judge('['.repeat(100_000)), true)
  assert.equal(judge(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), true)
  assert.equal(judge(`[${'[],'.repeat(60_000)}1]`), true)
  assert.equal(judge(`{"a":"${'x'.repeat(200)}\\\\","b":[${'1,'.repeat(30_000)}1]}`), true)
  assert.equal(judge(`["${'x'.repeat(200)}",${'"\\"",'.repeat(30_000)}1]`), true)
})

test('a string that never ends is looked at once', () => {
  assert.equal(judge(`["${'\\'.repeat(100_000)}`), false)
  assert.equal(judge(`["${'x'.repeat(100_000)}`), false)
})
