import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { startTestServer } from '../helpers/server.ts'

interface Vector {
  name: string
  recommended: string
  recommendedErrorTypes?: string[]
  frame: { payload: { clientId: unknown } }
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../vectors/signaling-registration.json', import.meta.url), 'utf8')
) as { vectors: Vector[] }

/**
 * Where the vectors leave it open (docs/protocol.md, 2.1): proofs are over the bytes of publicKey as they
 * are, so the SDK's lossy text form is refused; missing base64 padding is tolerated as the browser's decoder does.
 */
const DECIDED: Record<string, 'accept' | 'INVALID_PROOF'> = {
  'ed25519-bom': 'INVALID_PROOF',
  'ed25519-binary': 'INVALID_PROOF',
  'ed25519-mlkem-publickey': 'INVALID_PROOF',
  'falcon-bom': 'INVALID_PROOF',
  'falcon-binary': 'INVALID_PROOF',
  'falcon-mlkem-publickey': 'INVALID_PROOF',
  'ed25519-lossy-collision': 'INVALID_PROOF',
  'neg-base64-unpadded': 'accept'
}

test('the vectors are all there', () => assert.equal(vectors.length, 45))

test('every registration vector gets the decided verdict with one frame', async (t) => {
  const server = await startTestServer(t)
  for (const vector of vectors) {
    await t.test(vector.name, async () => {
      const peer = await server.peer()
      peer.send(vector.frame)
      const reply = await peer.next()
      const decided = DECIDED[vector.name] ?? vector.recommended
      if (decided === 'accept') {
        assert.deepEqual(reply.payload, { success: true, clientId: vector.frame.payload.clientId })
      } else {
        assert.equal(reply.type, 'error')
        const allowed = decided === 'reject' ? vector.recommendedErrorTypes : [decided]
        assert.ok(allowed?.includes(reply.payload.errorType), `${reply.payload.errorType}: ${reply.payload.details}`)
        assert.notEqual(reply.payload.details, '')
      }
      await peer.nothingMore()
      peer.terminate()
    })
  }
})
