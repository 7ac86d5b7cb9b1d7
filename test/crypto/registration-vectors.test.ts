// The proofs of every registration frame the real SDK made. What a proof is bound to (key, id) is decided elsewhere.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createProofVerifier } from '../../src/crypto/verifier.ts'
import { proofOf, registrations } from './vectors.ts'

const verifier = createProofVerifier({ workers: 1, queueLength: 64 })
after(() => verifier.close())

/** Refused for the frame around the proof, while the signature fits the message it came with. */
const validProofs = new Set([
  'neg-mldsa-other-publickey',
  'neg-ed25519-message-differs',
  'neg-falcon-message-differs',
  'neg-base64-unpadded',
  'neg-publickey-empty',
  'neg-publickey-number',
  'neg-publickey-object',
  'neg-publickey-out-of-range',
  'neg-publickey-string',
  'neg-clientid-empty',
  'neg-clientid-missing',
  'neg-clientid-number'
])

/** Not even a proof: an unknown algorithm, or a part missing or not base64. */
const noProofs = new Set([
  'neg-algorithm-unknown',
  'neg-algorithm-case',
  'neg-algorithm-missing',
  'neg-algorithm-proto',
  'neg-base64-truncated',
  'neg-base64-garbage',
  'neg-base64url',
  'neg-verification-missing',
  'neg-verification-fields-missing'
])

test('there are 45 registration vectors', () => {
  assert.equal(registrations.length, 45)
})

for (const vector of registrations) {
  const { name, recommended } = vector
  const expected = recommended === 'accept' || validProofs.has(name) ? 'valid' : 'invalid'

  if (noProofs.has(name)) {
    test(`registration vector ${name} carries no proof`, () => assert.equal(proofOf(vector), undefined))
  } else {
    test(`registration vector ${name} carries ${expected === 'valid' ? 'a valid' : 'an invalid'} proof`, async () => {
      assert.equal(await verifier.verify(proofOf(vector)!), expected)
    })
  }
}
