import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as noble from '@noble/ed25519'
import { createProofVerifier, type Proof } from '../../src/crypto/verifier.ts'
import { flip, hex, registrationProof, signInput, speccheck, wrongLengths } from './vectors.ts'

const verifier = createProofVerifier({ workers: 1, queueLength: 1_024 })
after(() => verifier.close())

/** The definition of a valid proof: strict RFC 8032. */
const isValidByDefinition = ({ signature, message, publicKey }: Proof): Promise<boolean> =>
  noble.verifyAsync(signature, message, publicKey, { zip215: false })

const rfc8032Abc: Proof = {
  algorithm: 'ed25519',
  publicKey: hex('ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf'),
  message: hex(
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f'
  ),
  signature: hex(
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704'
  )
}

test('the proofs of RFC 8032 section 7.1 are valid', async () => {
  const [empty, oneByte, twoBytes] = signInput
  const longest = signInput.at(-1)!
  assert.equal(longest.message.length, 1_023) // TEST 1024
  for (const proof of [empty!, oneByte!, twoBytes!, longest, rfc8032Abc]) {
    assert.equal(await verifier.verify(proof), 'valid')
  }
})

test('every published signature is valid, here and by the definition', async () => {
  for (const proof of signInput) {
    assert.equal(await verifier.verify(proof), 'valid')
    assert.ok(await isValidByDefinition(proof))
  }
})

test('every published signature is invalid under the next key, and over the next message', async () => {
  for (const [index, proof] of signInput.entries()) {
    const next = signInput[(index + 1) % signInput.length]!
    assert.equal(await verifier.verify({ ...proof, publicKey: next.publicKey }), 'invalid')
    assert.equal(await verifier.verify({ ...proof, message: next.message }), 'invalid')
  }
})

for (const [index, { why, valid, proof }] of speccheck.entries()) {
  test(`edge case ${index + 1} is ${valid ? 'valid' : 'invalid'}: ${why}`, async () => {
    assert.equal(await verifier.verify(proof), valid ? 'valid' : 'invalid')
  })
}

const proof = registrationProof('ed25519-ascii')

test('a signature with any one byte changed is invalid', async () => {
  assert.equal(await verifier.verify(proof), 'valid')
  for (let index = 0; index < 64; index++) {
    for (const mask of [1, 0x80, 0xff]) {
      const signature = flip(proof.signature, index, mask)
      assert.equal(await verifier.verify({ ...proof, signature }), 'invalid', `byte ${index}, mask ${mask}`)
    }
  }
})

test('a key or message with any one byte changed is invalid', async () => {
  for (let index = 0; index < 32; index++) {
    const publicKey = flip(proof.publicKey, index)
    assert.equal(await verifier.verify({ ...proof, publicKey }), 'invalid', `key byte ${index}`)
  }
  for (let index = 0; index < proof.message.length; index++) {
    const message = flip(proof.message, index)
    assert.equal(await verifier.verify({ ...proof, message }), 'invalid', `message byte ${index}`)
  }
})

test('a key, signature or message of another length is invalid', async () => {
  for (const publicKey of wrongLengths(proof.publicKey)) {
    assert.equal(await verifier.verify({ ...proof, publicKey }), 'invalid')
  }
  for (const signature of wrongLengths(proof.signature)) {
    assert.equal(await verifier.verify({ ...proof, signature }), 'invalid')
  }
  for (const message of wrongLengths(proof.message)) {
    assert.equal(await verifier.verify({ ...proof, message }), 'invalid')
  }
})

test('the same signature with L added to S, once or as often as fits, is invalid', async () => {
  const order = noble.Point.CURVE().n
  const scalar = BigInt(`0x${Buffer.from(proof.signature.slice(32)).reverse().toString('hex')}`)
  for (let times = 1n; scalar + times * order < 2n ** 256n; times++) {
    const raised = hex((scalar + times * order).toString(16).padStart(64, '0')).reverse()
    const signature = Uint8Array.from([...proof.signature.slice(0, 32), ...raised])
    assert.equal(await verifier.verify({ ...proof, signature }), 'invalid')
  }
})

test('proofs given as windows on one shared buffer are read at their own place', async () => {
  const { publicKey, message, signature } = proof
  const shared = Buffer.concat([Buffer.from('xyz'), publicKey, message, signature])
  const keyEnd = 3 + publicKey.length
  const windows: Proof = {
    algorithm: 'ed25519',
    publicKey: shared.subarray(3, keyEnd),
    message: shared.subarray(keyEnd, keyEnd + message.length),
    signature: shared.subarray(keyEnd + message.length)
  }
  assert.equal(await verifier.verify(windows), 'valid')
})

test('a proof is checked as it was handed in, whatever becomes of its buffers meanwhile', async () => {
  const copy: Proof = { ...proof, message: proof.message.slice(), signature: proof.signature.slice() }
  const verdict = verifier.verify(copy)
  copy.message.fill(0)
  copy.signature.fill(0)
  assert.equal(await verdict, 'valid')
})

test('a message may be as long as a whole frame, and no longer', async () => {
  const secretKey = new Uint8Array(32).fill(9)
  const publicKey = await noble.getPublicKeyAsync(secretKey)
  for (const [length, verdict] of [
    [262_144, 'valid'],
    [262_145, 'invalid']
  ] as const) {
    const message = new Uint8Array(length)
    const signature = await noble.signAsync(message, secretKey)
    assert.equal(await verifier.verify({ algorithm: 'ed25519', publicKey, message, signature }), verdict)
  }
})
