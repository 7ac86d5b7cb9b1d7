import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { fromBase64, fromHex, toBase64, toHex } from '../../client/src/base64.ts'
import { createIdentity } from '../../client/src/identity.ts'
import { open, type Sealed, seal } from '../../client/src/sealed.ts'

const vectors = JSON.parse(readFileSync(new URL('../vectors/signaling-messages.json', import.meta.url), 'utf8'))
const bob = ml_kem768.keygen(fromHex(vectors.keys.B.mlKem768Seed64Hex))

test('the key pair of the vectors comes from its seed', () => {
  assert.equal(toBase64(bob.publicKey), vectors.keys.B.publicKeyBase64)
  assert.equal(toBase64(bob.secretKey), vectors.keys.B.secretKeyBase64)
})

for (const { plaintextUtf8, plaintextHex, frame } of vectors.vectors) {
  test(`a message of the official SDK opens: ${JSON.stringify(plaintextUtf8).slice(0, 40)}`, async () => {
    const text = await open(frame.payload.message, bob.secretKey)
    assert.equal(toHex(new TextEncoder().encode(text)), plaintextHex)
  })
}

test('a sealed body opens again', async (t) => {
  const texts = { empty: '', emoji: '👩‍🚀 grüße 日本', nul: 'a\0b', mark: '\ufeffmarked', long: 'é'.repeat(60_000) }
  for (const [name, text] of Object.entries(texts)) {
    await t.test(name, async () => assert.equal(await open(await seal(text, bob.publicKey), bob.secretKey), text))
  }
})

test('a sealed body has the layout of the official SDK', async () => {
  const sealed = await seal('hello', bob.publicKey)
  assert.deepEqual(Object.keys(sealed).sort(), ['algorithm', 'serializedCipherText', 'serializedEncryptedData'])
  assert.equal(fromBase64(sealed.serializedCipherText).length, 1088)
  assert.equal(fromBase64(sealed.serializedEncryptedData).length, 12 + 5 + 16)
})

test('the same text never seals to the same bytes', async () => {
  const [first, second] = await Promise.all([seal('x', bob.publicKey), seal('x', bob.publicKey)])
  assert.notEqual(first.serializedCipherText, second.serializedCipherText)
  assert.notEqual(first.serializedEncryptedData, second.serializedEncryptedData)
})

test('a body does not open with another key, nor after one changed bit', async () => {
  const sealed = await seal('secret', bob.publicKey)
  await assert.rejects(open(sealed, (await createIdentity()).secretKey), /not sealed to this key/)
  for (const field of ['serializedEncryptedData', 'serializedCipherText'] as const) {
    const bytes = fromBase64(sealed[field])
    for (const at of [0, 12, bytes.length - 1]) {
      const changed = Uint8Array.from(bytes)
      changed[at]! ^= 1
      await assert.rejects(open({ ...sealed, [field]: toBase64(changed) }, bob.secretKey), /not sealed to this key/)
    }
  }
})

test('every other value rejects', async () => {
  const sealed = await seal('x', bob.publicKey)
  const wrong: unknown[] = [
    null,
    undefined,
    0,
    'text',
    [],
    {},
    { ...sealed, algorithm: 'aes' },
    { ...sealed, serializedCipherText: 7 },
    { ...sealed, serializedCipherText: 'AAAA' },
    { ...sealed, serializedCipherText: '***' },
    { ...sealed, serializedEncryptedData: '' },
    { ...sealed, serializedEncryptedData: toBase64(new Uint8Array(27)) },
    { ...sealed, serializedEncryptedData: 'not base64!' }
  ]
  for (const body of wrong) await assert.rejects(open(body as Sealed, bob.secretKey), Error, JSON.stringify(body))
  await assert.rejects(open(sealed, new Uint8Array(5)))
  await assert.rejects(seal('x', new Uint8Array(36)), /36 bytes instead of 1184/)
})
