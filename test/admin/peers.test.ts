import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sendFrame } from '../helpers/l2ps-peer.ts'
import { openPeer, quickIdentity, registerFrame } from '../helpers/peer.ts'
import { message, pages, startAdministered } from './helpers.ts'

test('a peer is shown with its sessions: since when, from where, its receipts, its window and its round trip', async (t) => {
  const server = await startAdministered(t)
  const before = Date.now()
  const bob = await openPeer(t, server.addresses.signaling)
  bob.send(await registerFrame('bob', await quickIdentity(), { features: ['ack'] }))
  await bob.next('register')
  const alice = await server.join('alice')
  alice.send(message('bob', 'unreceipted'))
  const { seq } = (await bob.next('message')).payload
  const shown = await server.ok('GET', '/peers/signaling/bob')
  const [session] = shown.sessions
  assert.deepEqual({ ...shown, sessions: shown.sessions.length }, { network: 'signaling', peer: 'bob', sessions: 1 })
  assert.deepEqual(
    [session.receipt, session.window, session.roundTripMs, session.address],
    ['ack', { messages: 1, bytes: JSON.stringify('unreceipted').length }, null, '127.0.0.1']
  )
  const times = [before, Date.parse(session.connectedAt), Date.parse(session.registeredAt), Date.now()]
  assert.deepEqual(
    times,
    times.toSorted((one, other) => one - other)
  )
  assert.ok(Number.isInteger(session.bufferedBytes))

  bob.send({ type: 'ack', payload: { seq } })
  bob.send(message('alice', 'with a ping behind it'))
  await alice.next('message')
  await server.emptied()
  const [other] = (await server.ok('GET', '/peers/signaling/alice')).sessions
  assert.deepEqual([other.receipt, other.window.messages, typeof other.roundTripMs], ['pong', 0, 'number'])
})

test('peers are listed page by page, in order over all networks, also while others come and go', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net')
  const inNet = await server.enter('net')
  await server.enter('net', inNet.signer) // a second session of the same peer
  const [b] = [await server.join('b'), await server.join('c'), await server.join('e'), await server.join('f')]
  const found = await pages(server, '/peers?limit=2', 'peers', async (page) => {
    if (page !== 1) return
    await b.close()
    await Promise.all([server.join('a'), server.join('d')])
  })
  assert.deepEqual(
    found.map((page) => page.map(({ network, peer, sessions }) => [network, peer, sessions.length])),
    [
      [
        ['net', inNet.key, 2],
        ['signaling', 'b', 1]
      ],
      [
        ['signaling', 'c', 1],
        ['signaling', 'd', 1]
      ],
      [
        ['signaling', 'e', 1],
        ['signaling', 'f', 1]
      ]
    ]
  )
  const [only] = await pages(server, '/peers?network=net', 'peers')
  assert.deepEqual(
    only!.map(({ peer }) => peer),
    [inNet.key]
  )
})

test('a peer whose sessions are closed hears 4004, may come back, and finds its messages', async (t) => {
  const server = await startAdministered(t)
  const owner = await quickIdentity()
  const bob = await openPeer(t, server.addresses.signaling)
  bob.send(await registerFrame('bob', owner, { features: ['ack'] }))
  await bob.next('register')
  const alice = await server.join('alice')
  alice.send(message('bob', 'not receipted'))
  await bob.next('message')
  assert.deepEqual(await server.ok('DELETE', '/peers/signaling/bob'), { closed: 1 })
  assert.deepEqual(await bob.closed, { code: 4004, reason: 'Closed by an administrator' })
  await server.refused('not-found', 'GET', '/peers/signaling/bob')
  const again = await server.join('bob', owner)
  assert.equal((await again.next('message')).payload.message, 'not receipted')
  await again.nothingMore()
  assert.deepEqual(await server.records(), [
    { network: 'signaling', kind: 'administration', digest: 'sessionClose', sender: 'bob' }
  ])
})

test('every session of an L2PS key is closed, in its network alone, by any spelling of the key', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net', 'other')
  const first = await server.enter('net')
  const second = await server.enter('net', first.signer)
  const elsewhere = await server.enter('other', first.signer)
  const path = `/peers/net/${first.key.toUpperCase()}`
  assert.equal((await server.ok('GET', path)).peer, first.key)
  assert.deepEqual(await server.ok('DELETE', path), { closed: 2 })
  for (const peer of [first, second]) assert.equal((await peer.closed).code, 4004)
  await elsewhere.nothingMore()
  const friend = await server.enter('net')
  assert.equal((await friend.answerTo(friend.send(sendFrame(first.key)))).type, 'message_queued')
  assert.equal((await server.records()).length, 1)
})

test('nobody is closed who is not here, and nothing is put on record', async (t) => {
  const server = await startAdministered(t)
  await server.refused('not-found', 'DELETE', '/peers/signaling/nobody')
  await server.refused('not-found', 'DELETE', '/peers/nowhere/nobody')
  assert.deepEqual(await server.records(), [])
})
