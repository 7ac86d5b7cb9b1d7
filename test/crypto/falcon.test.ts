import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { falcon512 } from '@noble/post-quantum/falcon.js'
import { type FalconKernel, getKernel } from 'falcon-sign'
import fc from 'fast-check'
import { createProofVerifier, type Proof } from '../../src/crypto/verifier.ts'
import { flip, registrationProof, wrongLengths } from './vectors.ts'

const verifier = createProofVerifier({ workers: 1, queueLength: 2_048 })
after(() => verifier.close())

const verdicts = (proofs: Proof[]) => Promise.all(proofs.map((proof) => verifier.verify(proof)))
const proof = registrationProof('falcon-ascii')

test('the signatures the SDK makes are valid', async () => {
  assert.deepEqual(await verdicts([proof, registrationProof('falcon-utf8')]), ['valid', 'valid'])
})

test('fresh signatures are valid, whatever length they come out at', async () => {
  const kernel: FalconKernel = await getKernel('falcon512_n3_v1')
  const { pk: publicKey, sk } = kernel.genkey(new Uint8Array(48).fill(7))!
  const lengths = new Set<number>()
  for (let index = 0; index < 100; index++) {
    const message = Buffer.from(`message ${index}`)
    const signature = kernel.sign(message, sk)!
    lengths.add(signature.length)
    assert.equal(await verifier.verify({ algorithm: 'falcon', publicKey, message, signature }), 'valid')
  }
  assert.ok(lengths.size > 3)
})

test('a signature with any one byte changed is invalid', async () => {
  const changed = [...proof.signature.keys()].map((at) => ({ ...proof, signature: flip(proof.signature, at) }))
  assert.deepEqual(new Set(await verdicts(changed)), new Set(['invalid']))
})

test('a key or message with any one byte changed is invalid', async () => {
  const keys = [...proof.publicKey.keys()].map((at) => ({ ...proof, publicKey: flip(proof.publicKey, at) }))
  const messages = [...proof.message.keys()].map((at) => ({ ...proof, message: flip(proof.message, at) }))
  assert.deepEqual(new Set(await verdicts([...keys, ...messages])), new Set(['invalid']))
})

test('a key, signature or message of another length is invalid', async () => {
  const proofs: Proof[] = [
    ...[...wrongLengths(proof.publicKey)].map((publicKey) => ({ ...proof, publicKey })),
    ...[...wrongLengths(proof.signature)].map((signature) => ({ ...proof, signature })),
    ...[...wrongLengths(proof.message)].map((message) => ({ ...proof, message })),
    { ...proof, signature: new Uint8Array(691) }
  ]
  assert.deepEqual(await verdicts(proofs), Array(10).fill('invalid'))
})

test('the first 43 bytes of a signature that was just checked are invalid', async () => {
  // falcon-sign would accept them: it reads the rest from where the whole one left it.
  const truncated = proof.signature.slice(0, 43)
  truncated.set([0, 1])
  assert.deepEqual(await verdicts([proof, { ...proof, signature: truncated }]), ['valid', 'invalid'])
})

test('a signature cut short anywhere, its length field adjusted, is invalid', async () => {
  const cut: Proof[] = []
  for (let length = 42; length < proof.signature.length; length++) {
    const signature = proof.signature.slice(0, length)
    new DataView(signature.buffer).setUint16(0, length - 42)
    cut.push(proof, { ...proof, signature })
  }
  const answers = await verdicts(cut)
  assert.deepEqual(new Set(answers.filter((_, index) => index % 2 === 1)), new Set(['invalid']))
})

test('a message too large for a frame is invalid, and harms no proof after it', async () => {
  const message = new Uint8Array(30_000_000)
  assert.deepEqual(await verdicts([{ ...proof, message }, proof]), ['invalid', 'valid'])
})

/** falcon-sign's form rewritten as the detached one of @noble/post-quantum: header, nonce, polynomial. */
function toDetached(signature: Uint8Array): Uint8Array | undefined {
  const length = new DataView(signature.buffer, signature.byteOffset).getUint16(0)
  if (length !== signature.length - 42 || signature[42] !== 0x29) return undefined
  return Uint8Array.from([0x39, ...signature.subarray(2, 42), ...signature.subarray(43)])
}

function isValidByNoble({ publicKey, message, signature }: Proof): boolean {
  const detached = toDetached(signature)
  try {
    return detached !== undefined && falcon512.verify(detached, message, publicKey)
  } catch {
    return false
  }
}

test('a second implementation of Falcon gives the same answers, whatever is done to a proof', async (t) => {
  const seed = Date.now() % 2 ** 31
  t.diagnostic(`fast-check seed ${seed}`)
  const edit = fc.record({
    part: fc.constantFrom('signature', 'publicKey', 'message'),
    position: fc.nat({ max: 900 }),
    mask: fc.integer({ min: 1, max: 255 })
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 2 }), async (edits) => {
      const edited = structuredClone(proof)
      for (const { part, position, mask } of edits) {
        const bytes = edited[part as 'signature' | 'publicKey' | 'message']
        bytes[position % bytes.length] = bytes[position % bytes.length]! ^ mask
      }
      assert.equal((await verifier.verify(edited)) === 'valid', isValidByNoble(edited))
    }),
    { numRuns: 100, seed }
  )
})
