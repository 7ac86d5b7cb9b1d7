import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'
import { hasNativeMlDsa } from '../../src/crypto/ml-dsa.ts'
import { createProofVerifier, type Proof, type Verdict } from '../../src/crypto/verifier.ts'
import { flip, registrationProof, wrongLengths } from './vectors.ts'

/** By the workers, and by the runtime itself where it can (Node 24.6 and newer): they must agree. */
const verifiers = [true, ...(hasNativeMlDsa ? [false] : [])].map((mlDsaInWorker) =>
  createProofVerifier({ workers: 2, queueLength: 1_024, mlDsaInWorker })
)
after(() => Promise.all(verifiers.map((verifier) => verifier.close())))

async function verdicts(proofs: Proof[]): Promise<Verdict[]> {
  const [first, ...others] = await Promise.all(
    verifiers.map((verifier) => Promise.all(proofs.map((proof) => verifier.verify(proof))))
  )
  for (const other of others) assert.deepEqual(other, first)
  return first!
}

test('what the runtime can do is what its version says', () => {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  assert.equal(hasNativeMlDsa, major > 24 || (major === 24 && minor >= 6))
})

/** Seeds of the accumulated vectors: consecutive reads from SHAKE128 of nothing. */
const seeds = createHash('shake128', { outputLength: 100 * 32 }).digest()

test('one hundred generated keys and signatures are the published ones, and each is valid', async () => {
  const accumulated = createHash('shake128', { outputLength: 32 })
  const proofs: Proof[] = []
  for (let index = 0; index < 100; index++) {
    const { publicKey, secretKey } = ml_dsa65.keygen(Uint8Array.from(seeds.subarray(32 * index, 32 * index + 32)))
    const message = new Uint8Array(0)
    const signature = ml_dsa65.sign(message, secretKey, { extraEntropy: false })
    accumulated.update(publicKey).update(signature)
    proofs.push({ algorithm: 'ml-dsa', publicKey, message, signature })
  }
  // C2SP CCTV, ML-DSA accumulated tests, ML-DSA-65, 100 iterations
  assert.equal(accumulated.digest('hex'), '8358a1843220194417cadbc2651295cd8fc65125b5a5c1a239a16dc8b57ca199')
  assert.deepEqual(new Set(await verdicts(proofs)), new Set(['valid']))
})

const proof = registrationProof('mldsa-real-client-A')

test('the signature the real client makes is valid', async () => {
  assert.deepEqual(await verdicts([proof, registrationProof('mldsa-real-client-B')]), ['valid', 'valid'])
})

test('a signature with any one byte changed is invalid', async () => {
  // All of the challenge and the hint, and every sixteenth byte of the vector between them.
  const positions = [...proof.signature.keys()].filter((at) => at < 48 || at >= 3_309 - 61 || at % 16 === 0)
  const changed = positions.map((at) => ({ ...proof, signature: flip(proof.signature, at) }))
  assert.deepEqual(new Set(await verdicts(changed)), new Set(['invalid']))
})

test('a key or message with one byte changed is invalid', async () => {
  const keys = [0, 31, 32, 1_000, 1_951].map((at) => ({ ...proof, publicKey: flip(proof.publicKey, at) }))
  const messages = [0, 600, 1_183].map((at) => ({ ...proof, message: flip(proof.message, at) }))
  assert.deepEqual(new Set(await verdicts([...keys, ...messages])), new Set(['invalid']))
})

test('a key, signature or message of another length is invalid', async () => {
  const proofs: Proof[] = [
    ...[...wrongLengths(proof.publicKey)].map((publicKey) => ({ ...proof, publicKey })),
    ...[...wrongLengths(proof.signature)].map((signature) => ({ ...proof, signature })),
    ...[...wrongLengths(proof.message)].map((message) => ({ ...proof, message }))
  ]
  assert.deepEqual(await verdicts(proofs), Array(9).fill('invalid'))
})

test('keys and signatures of one repeated byte are invalid, not an error', async () => {
  const proofs = [0x00, 0x7f, 0x80, 0xff].flatMap((byte) => [
    { ...proof, publicKey: new Uint8Array(1_952).fill(byte) },
    { ...proof, signature: new Uint8Array(3_309).fill(byte) }
  ])
  assert.deepEqual(new Set(await verdicts(proofs)), new Set(['invalid']))
})

test('a signature made for a context is invalid: ours is the empty one', async () => {
  const { publicKey, secretKey } = ml_dsa65.keygen(new Uint8Array(32))
  const message = Buffer.from('message')
  const plain = ml_dsa65.sign(message, secretKey)
  const inContext = ml_dsa65.sign(message, secretKey, { context: Buffer.from('x') })
  const asProof = (signature: Uint8Array): Proof => ({ algorithm: 'ml-dsa', publicKey, message, signature })
  assert.deepEqual(await verdicts([asProof(plain), asProof(inContext)]), ['valid', 'invalid'])
})
