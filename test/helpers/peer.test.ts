import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuse, startFakeServer } from '../client/fake-server.ts'
import { openPeer } from './peer.ts'

test('frames are taken by type or in order, and others keep their place', async (t) => {
  const { url } = await startFakeServer(t)
  const peer = await openPeer(t, url)
  await peer.register('alice')
  assert.deepEqual([peer.clientId, peer.identity.publicKey.length], ['alice', 36])
  for (const type of ['discover', 'debug_question', 'discover']) peer.send({ type, payload: {} })
  assert.equal((await peer.next('server_question')).payload.questionId, 'q1')
  assert.deepEqual((await peer.next()).type, 'discover')
  await peer.next('discover')
  await peer.nothingMore()
})

test('two waits at once each get their frame', async (t) => {
  const { url } = await startFakeServer(t)
  const peer = await openPeer(t, url)
  const waits = Promise.all([peer.next('discover'), peer.next('server_question')])
  peer.send({ type: 'debug_question', payload: {} })
  peer.send({ type: 'discover', payload: {} })
  assert.deepEqual(
    (await waits).map(({ type }) => type),
    ['discover', 'server_question']
  )
})

test('a wait that fails says what was received instead', async (t) => {
  const server = await startFakeServer(t)
  const peer = await openPeer(t, server.url)
  await assert.rejects(peer.next('message', 20), /expected message within 20 ms; nothing was received/)
  peer.send({ type: 'debug_question', payload: {} })
  await assert.rejects(peer.next('message', 50), /received instead: {"type":"server_question"/)
  await assert.rejects(peer.nothingMore(), /expected nothing more, received {"type":"server_question"/)
  await peer.next('discover')
  peer.send({ type: 'request_public_key', payload: { targetId: 'nobody' } })
  await assert.rejects(peer.next('message'), /expected message, received {"type":"error".*PEER_NOT_FOUND/)
  await peer.next('error')
  peer.terminate()
  assert.deepEqual(await peer.closed, { code: 1006, reason: '' })
  await assert.rejects(peer.next(), /expected a frame, but the connection was closed \(1006/)
})

test('the refusal of an unregistered peer is a round trip, another error is not', async (t) => {
  const server = await startFakeServer(t)
  const peer = await openPeer(t, server.url)
  server.intercept = (_frame, socket) => refuse(socket, 'REGISTRATION_REQUIRED', 'register first')
  await peer.nothingMore()
  server.intercept = (_frame, socket) => refuse(socket, 'INTERNAL_ERROR', 'broken')
  await assert.rejects(peer.nothingMore(), /INTERNAL_ERROR/)
})
