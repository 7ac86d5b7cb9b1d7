// The client checks a message's proof by itself, with nothing but the relay's key.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Evidence, fetchEvidence, ProofError, verifyProof } from '../../client/src/proof.ts'
import { sealForSubnet } from '../../client/src/sealed.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { join } from './l2ps-clients.ts'

const subnetKey = new Uint8Array(32)

async function converse(t: TestContext, count: number) {
  const server = await startTestServer(t, { AUDIT_INTERVAL_MS: 50 })
  await server.addNetworks('net', 'other')
  const alice = await join(t, { url: server.addresses.l2ps! })
  const bob = await join(t, { url: server.addresses.l2ps! })
  for (let i = 0; i < count; i++) await alice.send(bob.publicKey, await sealForSubnet(`message ${i}`, subnetKey))
  const messages = await until('every message has its transaction hash', async () => {
    const { messages } = await bob.history(alice.publicKey, { limit: 200 })
    return messages.length === count && messages.every(({ l2psTxHash }) => l2psTxHash !== null) && messages
  })
  const url = server.addresses.l2ps!.replace('ws', 'http')
  const vkey = await (await fetch(`${url}/audit/vkey`)).text()
  return { url, vkey, messages }
}

test('each message of a conversation is proven by what the relay serves, and the relay need not be asked again', async (t) => {
  const { url, vkey, messages } = await converse(t, 11)
  for (const [i, message] of messages.toReversed().entries()) {
    const evidence = { vkey, ...(await fetchEvidence(url, 'net', message.l2psTxHash!)) }
    const proven = await verifyProof(message, evidence)
    assert.equal(proven.txHash, message.l2psTxHash)
    assert.equal(proven.nonce, i + 1)
    assert.match(proven.origin, /\/net$/)
    assert.ok(proven.index < proven.treeSize)
    assert.equal(Math.abs(proven.acceptedAtMs - message.timestamp) < 60_000, true)
  }
  await assert.rejects(fetchEvidence(url, 'net', '00'.repeat(32)), ProofError)
  await assert.rejects(fetchEvidence(url, 'other', messages[0]!.l2psTxHash!), ProofError)
})

test('evidence that was changed anywhere proves nothing, and says why', async (t) => {
  const { url, vkey, messages } = await converse(t, 5)
  const [message, another] = messages
  const evidence: Evidence = { vkey, ...(await fetchEvidence(url, 'net', message!.l2psTxHash!)) }
  const other: Evidence = { vkey, ...(await fetchEvidence(url, 'net', another!.l2psTxHash!)) }
  const without = { ...message!, l2psTxHash: null }
  const refused = (why: RegExp, changed: Partial<Evidence>, about: object = message!) =>
    assert.rejects(verifyProof({ ...without, ...about }, { ...evidence, ...changed }), {
      name: 'ProofError',
      message: why
    })
  await verifyProof(without, evidence)
  await refused(/another one than history/, { record: other.record })
  await refused(/another message/, { record: other.record }, without)
  await refused(/another message/, {}, { ...without, to: message!.from })
  await refused(/another message/, {}, { ...without, l2psUid: 'other' })
  await refused(/not in the signed tree/, { record: evidence.record.replace('"nonce":', '"nonce":1') }, without)
  await refused(/not in the signed tree|does not fit/, { proof: other.proof })
  await refused(/signature|note/, { proof: evidence.proof.replace(/(\/net\n)\d+/, '$199') })
  await refused(/does not fit/, { proof: evidence.proof.replace(/index \d+/, 'index 70') })
  await refused(/not signed this tree/, { vkey: 'relay.example+9b7a2c1d+AWR1bW15' }).catch(() => {})
  await refused(/verifier key/, { vkey: vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+') })
  await refused(/not JSON/, { record: 'x' }, without)
  await refused(/./, { proof: '' })

  // Any one character of the proof: nothing else than a ProofError, and never a proof, but for the lines of other keys.
  const { proof } = evidence
  const signatures = proof.indexOf('\u2014')
  const own = proof.indexOf(`\u2014 ${vkey.split('+')[0]} `)
  for (let at = 0; at < own + 60; at += 3) {
    if (at >= signatures && at < own) continue
    const changed = `${proof.slice(0, at)}${proof[at] === 'A' ? 'B' : 'A'}${proof.slice(at + 1)}`
    await assert.rejects(verifyProof(message!, { ...evidence, proof: changed }), ProofError, `character ${at}`)
  }
})
