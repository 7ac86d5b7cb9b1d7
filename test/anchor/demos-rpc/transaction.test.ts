import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import {
  checkpointData,
  checkpointKey,
  createWallet,
  demToOs,
  sha256Hex,
  signTransaction,
  type Terms
} from '../../../src/anchor/demos-rpc/transaction.ts'
import { address, checkpoint, seed, vectors } from './setup.ts'

const inDem: Terms = { fees: { networkFee: 1, rpcFee: 0 }, osDenomination: false }
const inOs: Terms = { ...inDem, osDenomination: true }
const wallet = createWallet(seed)
const parts = { wallet, data: { any: 'thing' }, nonce: 7, timestamp: 1_750_000_000_000 }

describe('demos-rpc transaction', () => {
  test('the signed transaction of the vectors comes out byte for byte', () => {
    const { content } = vectors.signedTransaction
    const signed = signTransaction({
      wallet,
      data: content.data[1],
      nonce: content.nonce,
      timestamp: content.timestamp,
      terms: inDem
    })
    assert.equal(JSON.stringify(signed.content), vectors.hashInput)
    assert.equal(JSON.stringify(signed), JSON.stringify(vectors.signedTransaction))
  })

  test('a seed and its KeyObject are one account', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const raw = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url')
    assert.equal(createWallet(raw).address, createWallet(privateKey).address)
    assert.equal(wallet.address, address)
  })

  test('what is not a private ed25519 key is refused without being told', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const wrong = [seed.subarray(1), Buffer.concat([seed, seed]), createPublicKey(privateKey)]
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    for (const key of [...wrong, rsa]) {
      assert.throws(
        () => createWallet(key),
        (error: Error) => {
          assert.ok(error instanceof TypeError)
          assert.doesNotMatch(error.message, /[0-9a-f]{8}/)
          return true
        }
      )
    }
  })

  test('after the fork amounts are OS as text, and the count of the nonce edit stays a number', () => {
    const { content, hash } = signTransaction({ ...parts, terms: { ...inOs, fees: { networkFee: 10, rpcFee: 0.5 } } })
    assert.equal(content.amount, '0')
    assert.deepEqual(content.transaction_fee, {
      network_fee: '10000000000',
      rpc_fee: '500000000',
      additional_fee: '0',
      rpc_address: null
    })
    assert.deepEqual(
      content.gcr_edits.map((edit) => edit.amount),
      ['1000000000', 1]
    )
    assert.equal(hash, sha256Hex(JSON.stringify(content)))
  })

  test('DEM turn into OS without loss', () => {
    const amounts: [number, string][] = [
      [0, '0'],
      [1, '1000000000'],
      [0.1, '100000000'],
      [1e-9, '1'],
      [1e6, '1000000000000000']
    ]
    for (const [dem, os] of amounts) assert.equal(demToOs(dem), os)
  })

  test('text that is not ASCII is refused, as nodes hash it in another way', () => {
    assert.throws(() => signTransaction({ ...parts, data: { id: 'zoë' }, terms: inDem }), TypeError)
  })

  test('a checkpoint is metadata only: sender, log, and tree', () => {
    assert.deepEqual(checkpointData({ ...checkpoint(258), rootHash: 'AB'.repeat(32) }, address), {
      type: 'instantMessaging',
      data: {
        targetId: 'demo-net/relay.example/audit/demo-net',
        senderId: address,
        messageHash: `258:${'ab'.repeat(32)}`
      }
    })
  })

  test('ids of any characters become ASCII, and different ones stay different', () => {
    const ids: [string, string][] = [
      ['a/b', 'c'],
      ['a', 'b/c'],
      ['a%2Fb', 'c'],
      ['zoë', 'c'],
      ['日本', 'c'],
      ['a b', 'c'],
      ['a', 'b\u0000']
    ]
    const keys = ids.map(([network, origin]) => checkpointKey({ network, origin, size: 1, rootHash: '00' }))
    assert.equal(new Set(keys).size, ids.length)
    for (const key of keys) assert.match(key, /^[\x21-\x7e]+$/)
    checkpointKey({ network: '\ud800', origin: '\udc00', size: 1, rootHash: '00' }) // halves of a pair do not throw
  })
})
