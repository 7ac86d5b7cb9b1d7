import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromHex, toHex } from '../../client/src/base64.ts'
import { createSigner } from '../../client/src/identity.ts'
import { freshTimestamp, historyProof, registerProof } from '../../client/src/l2ps-proof.ts'
import { historyFrame, registerFrame } from '../helpers/l2ps-peer.ts'

const { keys, vectors, capturedFromRealClient } = JSON.parse(
  readFileSync(new URL('../vectors/l2ps-proofs.json', import.meta.url), 'utf8')
)
const signerOf = (owner: 'A' | 'B') => createSigner('ed25519', fromHex(keys[owner].seed32Hex))
const frameOf = (name: string) => vectors.find((vector: { name: string }) => vector.name === name).frame

for (const [name, owner] of [
  ['register-ok-A', 'A'],
  ['register-ok-B', 'B'],
  ['register-uppercase-key', 'A']
] as const) {
  test(`the published proof is reproduced byte for byte: ${name}`, async () => {
    const { payload, timestamp } = frameOf(name)
    const signer = await signerOf(owner)
    assert.equal(toHex(signer.signingPublicKey), payload.publicKey.toLowerCase())
    const expected = { proof: payload.proof, timestamp }
    assert.deepEqual(await registerProof(signer, payload.publicKey, timestamp), expected)
    const { publicKey, l2psUid } = payload
    assert.deepEqual(await registerFrame(signer, l2psUid, { publicKey, timestamp }), frameOf(name))
  })
}

for (const name of ['history-ok', 'history-ok-before', 'history-uppercase-peer']) {
  test(`the published proof is reproduced byte for byte: ${name}`, async () => {
    const { payload, timestamp } = frameOf(name)
    const signer = await signerOf('A')
    const expected = { proof: payload.proof, timestamp }
    assert.deepEqual(await historyProof(signer, payload.peerKey, timestamp), expected)
    const { peerKey, proof: _proof, ...page } = payload
    assert.deepEqual(await historyFrame(signer, peerKey, { ...page, timestamp }), frameOf(name))
  })
}

test('the proofs of the official SDK are reproduced byte for byte', async () => {
  const signer = await signerOf('A')
  for (const { type, payload, timestamp } of capturedFromRealClient) {
    if (type === 'register')
      assert.equal((await registerProof(signer, payload.publicKey, timestamp)).proof, payload.proof)
    if (type === 'history') assert.equal((await historyProof(signer, payload.peerKey, timestamp)).proof, payload.proof)
  }
})

test('every proof of a process has a timestamp of its own', () => {
  const before = Date.now()
  const stamps = Array.from({ length: 1_000 }, freshTimestamp)
  assert.equal(new Set(stamps).size, stamps.length)
  assert.deepEqual(stamps, [...stamps].sort())
  assert.ok(stamps[0]! >= before)
})
