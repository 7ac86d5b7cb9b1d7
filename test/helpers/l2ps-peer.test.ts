import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startFakeL2psServer } from '../client/fake-l2ps-server.ts'
import { historyFrame, keyOf, openL2psPeer, registerFrame, sendFrame } from './l2ps-peer.ts'
import { quickSigner } from './peer.ts'

test('an L2PS peer registers, and takes answers by their request, errors too', async (t) => {
  const { url } = await startFakeL2psServer(t)
  const [alice, bob] = [await openL2psPeer(t, url), await openL2psPeer(t, url)]
  const strange = alice.send('discover', {})
  assert.equal((await alice.answerTo(strange)).payload.code, 'REGISTRATION_REQUIRED')
  await alice.nothingMore()
  assert.throws(() => alice.key, /has not registered/)
  await alice.register('net')
  const signer = await quickSigner()
  assert.deepEqual((await bob.register('net', signer)).payload.onlinePeers, [alice.key])
  assert.equal(bob.key, keyOf(signer))
  assert.equal((await alice.next('peer_joined')).payload.publicKey, bob.key)

  const sent = alice.send(sendFrame(bob.key, 'QUJD', 'h'))
  const asked = alice.send(await historyFrame(alice.signer, bob.key))
  assert.equal((await alice.answerTo(asked)).payload.messages[0].messageHash, 'h')
  await assert.rejects(alice.nothingMore(), /expected nothing more, received {"type":"message_sent"/)
  await assert.rejects(alice.answerTo(sent, 20), /expected the answer to req_.* within 20 ms/)
  assert.equal((await bob.next('message')).payload.messageHash, 'h')
})

test('a frame is sent as it is told to be: another proof, spelling, time, and no requestId', async (t) => {
  const server = await startFakeL2psServer(t)
  server.intercept = () => true
  const peer = await openL2psPeer(t, server.url)
  const signer = await quickSigner()
  const publicKey = keyOf(signer).toUpperCase()
  peer.send({
    ...(await registerFrame(signer, 'net', { publicKey, timestamp: 7, proof: 'none' })),
    requestId: undefined
  })
  assert.equal(peer.send('discover', {}, { requestId: 'mine', timestamp: 'now' }), 'mine')
  peer.sendRaw('{"type":"last"}')
  while (server.received.length < 3) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(server.received, [
    { type: 'register', payload: { publicKey, l2psUid: 'net', proof: 'none' }, timestamp: 7 },
    { type: 'discover', payload: {}, requestId: 'mine', timestamp: 'now' },
    { type: 'last' }
  ])
})
