// Both ends of a signaling message prove it with what the relay serves: clients on a real server.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../client/src/digest.ts'
import { createIdentity } from '../../client/src/identity.ts'
import { memoryStorage, openOutbox } from '../../client/src/outbox.ts'
import { fetchEvidence, ProofError, verifyProof } from '../../client/src/proof.ts'
import { seal } from '../../client/src/sealed.ts'
import { createSignalingClient } from '../../client/src/signaling.ts'
import type { RecordedMessage, SignalingClient } from '../../client/src/signaling-api.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { startFakeServer } from './fake-server.ts'
import { next } from './waits.ts'

const startServer = (t: TestContext) => startTestServer(t, { AUDIT_INTERVAL_MS: 50 })

async function join(t: TestContext, url: string, clientId: string): Promise<SignalingClient> {
  const client = createSignalingClient({ url, clientId, identity: await createIdentity({ algorithm: 'ed25519' }) })
  t.after(() => client.close())
  await client.connect()
  return client
}

const recordOf = (client: SignalingClient, message: RecordedMessage): Promise<string> =>
  until('the record is under a signed checkpoint', async () => (await client.requestRecords(message))[0])

async function evidenceOf(server: TestServer, txHash: string) {
  const url = server.addresses.signaling.replace('ws', 'http')
  const vkey = await (await fetch(`${url}/audit/vkey`)).text()
  return { vkey, ...(await fetchEvidence(url, 'signaling', txHash)) }
}

test('the sender and the recipient each prove a message, and no other', async (t) => {
  const server = await startServer(t)
  const [alice, bob] = [
    await join(t, server.addresses.signaling, 'alice'),
    await join(t, server.addresses.signaling, 'bob')
  ]
  const heard = next(bob.events, 'message')
  const { digest } = await alice.sendConfirmed('bob', 'hello')
  const received = await heard
  assert.equal(received.digest, digest)

  const message = { ...received, to: 'bob' }
  const txHash = await recordOf(bob, message)
  assert.deepEqual(await alice.requestRecords({ from: 'alice', to: 'bob', digest }), [txHash])
  const evidence = await evidenceOf(server, txHash)
  const proven = await verifyProof(message, evidence)
  assert.equal(proven.txHash, txHash)

  const other = await digestOf('"another body"')
  for (const wrong of [{ digest: other }, { from: 'bob' }, { to: 'alice' }]) {
    const refused = { name: 'ProofError', message: 'The record is about another message' }
    await assert.rejects(verifyProof({ ...message, ...wrong }, evidence), refused)
  }
  await assert.rejects(
    verifyProof(message, { ...evidence, record: evidence.record.replace('"nonce":1', '"nonce":2') }),
    {
      message: 'The record is not in the signed tree at this place'
    }
  )
  await assert.rejects(alice.requestRecords({ from: 'carol', to: 'bob', digest }), { errorType: 'INVALID_MESSAGE' })
})

test('the digest is of the body as its sender wrote it, whatever the names', async (t) => {
  const server = await startServer(t)
  const id = 'x","fromId":"y'
  const [sender, bob] = [await server.join(id), await join(t, server.addresses.signaling, 'bob')]
  const sealed = JSON.stringify(await seal('hello', Uint8Array.from(bob.identity.publicKey)))
  const body = `{ "2": 1.0, "1": "\\u00e9", "fromId":"z" ,\n"fromId":"z", ${sealed.slice(1)}`
  const heard = next(bob.events, 'message')
  sender.sendRaw(`{"type":"message","payload":{"targetId":"bob","message":${body}}}`)
  const { from, digest, text } = await heard
  assert.deepEqual([from, digest, text], [id, await digestOf(body), 'hello'])
  const message = { from, to: 'bob', digest }
  await verifyProof(message, await evidenceOf(server, await recordOf(bob, message)))
})

test('the proof of an L2PS message is none of a signaling message', async (t) => {
  const server = await startServer(t)
  const alice = await join(t, server.addresses.signaling, 'alice')
  const { digest } = await alice.sendConfirmed('alice', 'to me')
  const message = { from: 'alice', to: 'alice', digest }
  const evidence = await evidenceOf(server, await recordOf(alice, message))
  const inNetwork = { from: 'alice', to: 'alice', messageHash: digest, l2psUid: 'net' }
  await assert.rejects(verifyProof(inNetwork, evidence), ProofError)
  const record = evidence.record.replace('"network":"signaling"', '"network":"net"')
  await assert.rejects(verifyProof(message, { ...evidence, record }), { message: /about another message/ })
})

test('an outbox tells the digest of what it has sent', async (t) => {
  const server = await startServer(t)
  const [alice, bob] = [
    await join(t, server.addresses.signaling, 'alice'),
    await join(t, server.addresses.signaling, 'bob')
  ]
  const outbox = await openOutbox(alice, { storage: memoryStorage() })
  t.after(() => outbox.close())
  const [heard, sent] = [next(bob.events, 'message'), next(outbox.events, 'sent')]
  await outbox.send('bob', 'kept')
  assert.equal((await sent).digest, (await heard).digest)
})

test('a body that another server spells otherwise has the digest of its JSON text', async (t) => {
  const server = await startFakeServer(t)
  const bob = await join(t, server.url, 'bob')
  const heard = next(bob.events, 'message')
  server.peers.get('bob')!.send('{"payload": {"fromId": "alice", "message": {"a": 1}}, "type": "message"}')
  assert.equal((await heard).digest, await digestOf('{"a":1}'))
})

test('an answer that is no list of hashes is one of none', async (t) => {
  const server = await startFakeServer(t)
  server.intercept = ({ type, payload }, socket) => {
    if (type !== 'request_record') return false
    socket.send(JSON.stringify({ type: 'record_response', payload: { ...payload, records: payload.fromId } }))
    return true
  }
  const bob = await join(t, server.url, 'bob')
  assert.deepEqual(await bob.requestRecords({ from: 'alice', to: 'bob', digest: '' }), [])
})
