import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { verifyAsync } from '@noble/ed25519'
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'
import { fromBase64, fromHex, toHex } from '../../client/src/base64.ts'
import { createIdentity } from '../../client/src/identity.ts'

const { keys, vectors } = JSON.parse(
  readFileSync(new URL('../vectors/signaling-registration.json', import.meta.url), 'utf8')
)
const seedOf = (owner: 'A' | 'B', signingKey: 'mlDsa65' | 'ed25519') =>
  fromHex(keys[owner][signingKey].seed32Hex + keys[owner].mlKem768.seed64Hex)

for (const owner of ['A', 'B'] as const) {
  test(`the proof of the official SDK is reproduced byte for byte: mldsa-real-client-${owner}`, async () => {
    const { frame } = vectors.find(({ name }: { name: string }) => name === `mldsa-real-client-${owner}`)
    const identity = await createIdentity({ algorithm: 'ml-dsa', seed: seedOf(owner, 'mlDsa65') })
    assert.deepEqual([...identity.publicKey], frame.payload.publicKey)
    assert.deepEqual(await identity.proofOf(identity.publicKey), frame.payload.verification)
  })
}

test('an ed25519 proof signs the announced key as it is', async () => {
  const identity = await createIdentity({ algorithm: 'ed25519', seed: seedOf('A', 'ed25519') })
  assert.equal(toHex(identity.signingPublicKey), keys.A.ed25519.publicKeyHex)
  const proof = await identity.proofOf(identity.publicKey)
  assert.equal(proof.algorithm, 'ed25519')
  assert.deepEqual(fromBase64(proof.serializedMessage), Uint8Array.from(identity.publicKey))
  const signature = fromBase64(proof.serializedSignedData)
  assert.ok(await verifyAsync(signature, identity.publicKey, fromBase64(proof.serializedPublicKey)))
})

test('new identities differ, use ML-DSA, and have keys of the documented lengths', async () => {
  const [one, other] = await Promise.all([createIdentity(), createIdentity()])
  assert.equal(one.algorithm, 'ml-dsa')
  assert.notDeepEqual(one.publicKey, other.publicKey)
  assert.notDeepEqual(one.signingPublicKey, other.signingPublicKey)
  assert.deepEqual([one.publicKey.length, one.secretKey.length, one.signingPublicKey.length], [1184, 2400, 1952])
  assert.ok(ml_dsa65.verify(await one.sign(one.publicKey), one.publicKey, one.signingPublicKey))
})

test('a seed of the wrong length is refused', async () => {
  await assert.rejects(createIdentity({ seed: new Uint8Array(32) }), RangeError)
})
