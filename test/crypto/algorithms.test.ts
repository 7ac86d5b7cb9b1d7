import assert from 'node:assert/strict'
import { test } from 'node:test'
import { algorithmNamed, lengthsFit, PROOF_ALGORITHMS } from '../../src/crypto/algorithms.ts'

test('the wire knows three algorithms, by exactly these names', () => {
  assert.deepEqual(
    PROOF_ALGORITHMS.map(({ name }) => name),
    ['ed25519', 'ml-dsa', 'falcon']
  )
})

for (const name of ['constructor', '__proto__', 'toString', 'ED25519', 'ml_dsa', 'falcon ', '', 'undefined']) {
  test(`the name ${JSON.stringify(name)} is no algorithm`, () => {
    assert.equal(algorithmNamed(name), undefined)
    assert.equal(lengthsFit(name, new Uint8Array(32), new Uint8Array(64)), false)
  })
}

const fits = (name: string, key: number, signature: number) =>
  lengthsFit(name, new Uint8Array(key), new Uint8Array(signature))

for (const [name, key, shortest, longest] of [
  ['ed25519', 32, 64, 64],
  ['ml-dsa', 1952, 3309, 3309],
  ['falcon', 897, 619, 690]
] as const) {
  test(`${name} takes keys of ${key} bytes and signatures of ${shortest} to ${longest}, and no others`, () => {
    assert.ok(fits(name, key, shortest))
    assert.ok(fits(name, key, longest))
    for (const wrong of [0, key - 1, key + 1]) assert.ok(!fits(name, wrong, shortest))
    for (const wrong of [0, shortest - 1, longest + 1]) assert.ok(!fits(name, key, wrong))
  })
}
