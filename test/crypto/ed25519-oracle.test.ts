// Ours against the definition (@noble/ed25519, zip215: false) where implementations are known to differ.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as noble from '@noble/ed25519'
import fc from 'fast-check'
import { createProofVerifier, type Proof } from '../../src/crypto/verifier.ts'
import { hex, signInput } from './vectors.ts'

const verifier = createProofVerifier({ workers: 1, queueLength: 1_024 })
after(() => verifier.close())

/** Encodings of 32 bytes, little-endian, from their value. */
const encode = (value: bigint): Uint8Array => hex(value.toString(16).padStart(64, '0')).reverse()

const { p: prime, n: order } = noble.Point.CURVE()
const SIGN_BIT = 2n ** 255n
const ORDER_EIGHT_Y = [
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'
]

/** The y of every small-order point, below p and, where it fits into 255 bits, once more above p. */
const smallOrderY = [...[0n, 1n, prime - 1n, prime, prime + 1n].map(encode), ...ORDER_EIGHT_Y.map(hex)]
const withSign = (point: Uint8Array): Uint8Array => Uint8Array.from([...point.slice(0, 31), point[31]! | 0x80])
const smallOrderPoints = smallOrderY.flatMap((point) => [point, withSign(point)])

/** Ours must never accept what the definition refuses; returns both answers. */
async function compare(proof: Proof): Promise<{ ours: boolean; definition: boolean }> {
  const { publicKey, message, signature } = proof
  const ours = (await verifier.verify(proof)) === 'valid'
  const definition = await noble.verifyAsync(signature, message, publicKey, { zip215: false })
  assert.ok(
    !ours || definition,
    `accepted against the definition: ${Buffer.concat([publicKey, signature]).toString('hex')}`
  )
  return { ours, definition }
}

const signed = (publicKey: Uint8Array, point: Uint8Array, scalar: Uint8Array, message: Uint8Array): Proof => ({
  algorithm: 'ed25519',
  publicKey,
  message,
  signature: Uint8Array.from([...point, ...scalar])
})

test('the list of small-order points is complete', () => {
  const points = new Set<string>()
  for (const encoding of smallOrderPoints) {
    const point = noble.Point.fromBytes(encoding, true)
    assert.ok(point.isSmallOrder())
    points.add(point.toHex())
  }
  assert.equal(points.size, 8)
})

test('under a key of small order, canonical or not, no signature is valid', async () => {
  const message = Buffer.from('any message at all')
  let acceptable = 0
  for (const publicKey of smallOrderPoints) {
    for (const point of smallOrderPoints) {
      const proof = signed(publicKey, point, encode(0n), message)
      assert.equal((await compare(proof)).ours, false)
      // Without the rule these are accepted: one signature that fits every message.
      if (await noble.verifyAsync(proof.signature, message, publicKey, { zip215: true })) acceptable += 1
    }
  }
  assert.equal(acceptable, smallOrderPoints.length ** 2)
})

test('points and scalars at the edges of their ranges are answered as the definition does', async () => {
  const edges = [
    0n,
    1n,
    2n,
    prime - 1n,
    prime,
    prime + 1n,
    prime + 18n,
    SIGN_BIT - 1n,
    SIGN_BIT,
    SIGN_BIT + 1n,
    2n ** 256n - 1n
  ]
  const scalars = [0n, 1n, order - 1n, order, order + 1n, 2n ** 252n, 2n ** 253n, SIGN_BIT, 2n ** 256n - 1n].map(encode)
  const { publicKey, message } = signInput[5]!
  for (const point of edges.map(encode)) {
    for (const scalar of scalars) {
      assert.equal((await compare(signed(publicKey, point, scalar, message))).ours, false)
      assert.equal((await compare(signed(point, publicKey, scalar, message))).ours, false)
    }
  }
})

/** SHA-512 over R, key and message, as a scalar. */
async function challenge(point: Uint8Array, publicKey: Uint8Array, message: Uint8Array): Promise<bigint> {
  const digest = new Uint8Array(
    await crypto.subtle.digest('SHA-512', Uint8Array.from([...point, ...publicKey, ...message]))
  )
  return BigInt(`0x${Buffer.from(digest.reverse()).toString('hex')}`) % order
}

/** Signs under a key that is the sum of an honest key and a point of small order. */
async function signMixed(torsion: noble.Point, extra: noble.Point, message: Uint8Array): Promise<Proof> {
  const [secret, nonce] = [0x1234567n, 0x7654321n]
  const publicKey = noble.Point.BASE.multiply(secret).add(torsion).toBytes()
  const point = noble.Point.BASE.multiply(nonce).add(extra).toBytes()
  const k = await challenge(point, publicKey, message)
  return signed(publicKey, point, encode((nonce + k * secret) % order), message)
}

test('a key with a small-order part is refused where the definition holds only by its cofactor', async () => {
  const seen = { both: 0, definitionOnly: 0 }
  const torsions = smallOrderPoints.map((encoding) => noble.Point.fromBytes(encoding, true))
  for (const torsion of torsions) {
    for (let index = 0; index < 6; index++) {
      const proof = await signMixed(torsion, noble.Point.ZERO, Uint8Array.of(index))
      const { ours, definition } = await compare(proof)
      assert.ok(definition)
      seen[ours ? 'both' : 'definitionOnly'] += 1
    }
  }
  assert.ok(seen.both > 0 && seen.definitionOnly > 0)
})

test('an R with a small-order part is refused, though the definition accepts it', async () => {
  for (const encoding of ORDER_EIGHT_Y.map(hex)) {
    const proof = await signMixed(noble.Point.ZERO, noble.Point.fromBytes(encoding), Buffer.from('message'))
    assert.deepEqual(await compare(proof), { ours: false, definition: true })
  }
})

test('whatever is done to an honest proof, ours and the definition agree', async (t) => {
  const seed = Date.now() % 2 ** 31
  t.diagnostic(`fast-check seed ${seed}`)
  const position = fc.nat({ max: 63 })
  const edit = fc.oneof(
    fc.record({
      part: fc.constantFrom('signature', 'publicKey', 'message'),
      position,
      mask: fc.integer({ min: 1, max: 255 })
    }),
    fc.record({
      part: fc.constant('signature'),
      position: fc.constant(63),
      mask: fc.constantFrom(0x10, 0x20, 0x40, 0x80)
    })
  )
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...signInput), fc.array(edit, { maxLength: 2 }), async (original, edits) => {
      const proof = structuredClone(original)
      for (const { part, position, mask } of edits) {
        const bytes = proof[part as 'signature' | 'publicKey' | 'message']
        if (bytes.length > 0) bytes[position % bytes.length] = bytes[position % bytes.length]! ^ mask
      }
      const { ours, definition } = await compare(proof)
      assert.equal(ours, definition)
    }),
    { numRuns: 400, seed }
  )
})
