import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createSigner } from '../../client/src/identity.ts'
import { startTestServer } from '../helpers/server.ts'

const { vectors, capturedFromRealClient, keys, l2psUid } = JSON.parse(
  readFileSync(new URL('../vectors/l2ps-proofs.json', import.meta.url), 'utf8')
)

/** Where the vectors leave it open (docs/protocol.md, 4.2 and 4.10): proofs are hex over the text as it was sent. */
const DECIDED: Record<string, string> = {
  'register-uppercase-key-lowercase-proof': 'INVALID_PROOF',
  'register-0x-proof': 'INVALID_PROOF',
  'register-timestamp-string': 'INVALID_MESSAGE'
}

const signerOf = (name: 'A' | 'B') => createSigner('ed25519', Buffer.from(keys[name].seed32Hex, 'hex'))

test('every proof vector gets the decided verdict with one frame', async (t) => {
  let now = 1_750_000_000_000
  const server = await startTestServer(t, {}, { now: () => now })
  await server.addNetworks(l2psUid)
  const vectorsTime = now
  for (const vector of vectors) {
    await t.test(vector.name, async () => {
      await server.app.database.sql`delete from used_proof` // the vectors share one proof
      const peer = await server.l2psPeer()
      now = vectorsTime + 60_000
      if (vector.kind === 'history') await peer.register(l2psUid, await signerAt(now))
      now = vectorsTime
      peer.sendRaw(JSON.stringify(vector.frame))
      const reply = await peer.next()
      if (vector.recommended.startsWith('accept')) {
        assert.equal(reply.type, vector.kind === 'register' ? 'registered' : 'history_response', JSON.stringify(reply))
      } else {
        assert.equal(reply.type, 'error')
        const allowed = DECIDED[vector.name] === undefined ? vector.recommendedCodes : [DECIDED[vector.name]]
        assert.ok(allowed.includes(reply.payload.code), JSON.stringify(reply))
      }
      await peer.nothingMore()
      await peer.close()
    })
  }

  /** The signer of the history vectors, whose register proof is made at the test's time. */
  async function signerAt(timestamp: number) {
    const signer = await signerOf('A')
    t.mock.method(Date, 'now', () => timestamp, { times: 1 })
    return signer
  }
})

test('the frames of the real client work as they were captured', async (t) => {
  const now = capturedFromRealClient[0].timestamp
  const server = await startTestServer(t, {}, { now: () => now })
  await server.addNetworks(l2psUid)
  const peer = await server.l2psPeer()
  const answers = [
    'registered',
    'history_response',
    'history_response',
    'message_queued',
    'discover_response',
    'public_key_response'
  ]
  for (const [index, frame] of capturedFromRealClient.entries()) {
    peer.sendRaw(JSON.stringify(frame))
    const reply = await peer.next()
    assert.equal(reply.type, answers[index], JSON.stringify(reply))
    assert.equal(reply.requestId, frame.requestId)
    assert.equal(typeof reply.timestamp, 'number')
  }
})
