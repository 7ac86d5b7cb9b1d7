import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromBase64, fromHex, toBase64, toHex } from '../../client/src/base64.ts'

test('base64 and hex are those of Node, for bytes of every length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(toBase64(bytes), Buffer.from(bytes).toString('base64'))
      assert.deepEqual(fromBase64(toBase64(bytes)), bytes)
      assert.equal(toHex(bytes), Buffer.from(bytes).toString('hex'))
      assert.deepEqual(fromHex(toHex(bytes).toUpperCase()), bytes)
    })
  )
})

test('ten megabytes are encoded and decoded unchanged', () => {
  const bytes = new Uint8Array(10_000_000).map((_, i) => i * 7)
  assert.ok(Buffer.from(fromBase64(toBase64(bytes))).equals(bytes))
})

test('base64 is read as browsers read it', () => {
  for (const text of ['', 'AA==', 'AA', 'AAA=', 'AAA', ' A\nA\t=\f=\r ', '+/+/', 'AB==']) {
    assert.equal(toHex(fromBase64(text)), Buffer.from(atob(text), 'latin1').toString('hex'), JSON.stringify(text))
  }
  for (const text of ['A', 'AAAAA', 'AA=', '====', 'A===', '-_-_', 'A*AA', 'AAAé', 'AA==AA==', 'AAA\u{1F600}']) {
    assert.throws(() => fromBase64(text), JSON.stringify(text))
    assert.throws(() => atob(text), `browsers accept ${JSON.stringify(text)}`)
  }
})

test('text that is not hex is refused', () => {
  for (const text of ['a', 'zz', '0x00', ' 00']) assert.throws(() => fromHex(text))
})
