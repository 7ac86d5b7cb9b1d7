import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeHandOver, encodeHandOver, type HandedOver } from '../../src/cluster/hand-over.ts'

const name = fc.string({ unit: 'binary', maxLength: 20 })
const natural = fc.maxSafeNat()

const plain = { noNullPrototype: true }
const reference: fc.Arbitrary<HandedOver> = fc.record(
  {
    ...{ network: name, recipient: name, epoch: natural, seq: natural, isShared: fc.boolean() },
    entry: fc.constant(undefined)
  },
  plain
)
const body = fc.oneof(fc.base64String({ maxLength: 200 }), fc.string({ unit: 'binary', maxLength: 50 }))
const facts = fc.record({
  ...{ sender: name, digest: fc.option(name), keyId: fc.option(name), sealed: body },
  ...{ slot: fc.boolean(), acceptedAt: natural }
})
const message = fc.tuple(reference, facts).map(([item, entry]): HandedOver => {
  const { network, recipient, seq, isShared } = item
  const bytes = Buffer.byteLength(entry.sealed)
  return { ...item, entry: { ...entry, network, recipient, seq, isShared, bytes, deliveries: 0 } }
})

test('what one relay hands over is what the other one takes, whatever is written in names and bodies', () => {
  fc.assert(
    fc.property(name, natural, fc.array(fc.oneof(reference, message), { maxLength: 8 }), (from, number, items) => {
      assert.deepEqual(decodeHandOver(encodeHandOver({ from, number, items })), { from, number, items })
    })
  )
})

test('a hand-over of another version is passed over', () => {
  for (const text of ['', '[]', '[]\n', '{}\n', '["a",1,[["n","r",1,1,2]],[null]]\n', '["a",1\n']) {
    assert.equal(decodeHandOver(Buffer.from(text)), undefined)
  }
})
