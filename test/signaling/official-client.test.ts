// The official client takes the next frame for the answer to its call: its calls must all resolve, however far away it is.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createIdentity, type Identity } from '../../client/src/identity.ts'
import { seal } from '../../client/src/sealed.ts'
import { quickIdentity, registerFrame } from '../helpers/peer.ts'
import { startTcpProxy } from '../helpers/proxy.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { OfficialClient } from './official-client.ts'

const ROUND_TRIPS_MS = [0, 60, 200]
const texts = (count: number) => Array.from({ length: count }, (_, n) => `text ${n}`)

/** A server far away, and the identity of Bob, who was there once. */
async function setUp(t: TestContext, roundTripMs: number) {
  const server = await startTestServer(t)
  const { url } = await startTcpProxy(t, server.addresses.signaling, roundTripMs / 2)
  const identity = await createIdentity()
  await (await server.join('bob', identity)).close()
  await until('Bob is away', () => server.app.presence.size === 0)
  const connect = async (name: string, who?: Identity) =>
    OfficialClient.connect(t, url, name, who ?? (await createIdentity()))
  return { server, connect, bob: () => connect('bob', identity), identity }
}

/** The texts of so many messages, once they have come. */
async function received({ received }: OfficialClient, count: number): Promise<string[]> {
  await until(
    () => `${received.length} of ${count} messages came`,
    () => received.length >= count
  )
  return Promise.all(received)
}

for (const roundTripMs of ROUND_TRIPS_MS) {
  test(`sends to an absent peer one after another, with a round trip of ${roundTripMs} ms`, async (t) => {
    const { connect, bob } = await setUp(t, roundTripMs)
    const alice = await connect('alice')
    for (const text of texts(6)) await alice.sendMessage('bob', text)
    await until('she hears of all of them', () => alice.queuedFor.length === 6)
    assert.deepEqual(await received(await bob(), 6), texts(6))
  })

  test(`a send to an absent peer, one to a peer that is here, and a discover, at ${roundTripMs} ms`, async (t) => {
    const { connect, bob } = await setUp(t, roundTripMs)
    const [alice, carol] = [await connect('alice'), await connect('carol')]
    await alice.sendMessage('bob', 'later')
    await alice.sendMessage('carol', 'now')
    assert.deepEqual(await alice.discoverPeers(), ['alice', 'carol'])
    assert.deepEqual(await received(carol, 1), ['now'])
    assert.deepEqual(await received(await bob(), 1), ['later'])
  })

  test(`calls right after connect() while 20 messages wait, at ${roundTripMs} ms`, async (t) => {
    const { server, bob, identity } = await setUp(t, roundTripMs)
    const alice = await server.join('alice')
    for (const text of texts(20)) {
      const message = await seal(text, identity.publicKey)
      alice.send({ type: 'message', payload: { targetId: 'bob', message } })
    }
    for (const _ of texts(20)) await alice.next('message_queued')
    const reader = await bob()
    assert.deepEqual(await reader.discoverPeers(), ['alice', 'bob'])
    assert.deepEqual(await received(reader, 20), texts(20))
  })
}

test('replies come first for a session that looks like the official client, and for no other', async (t) => {
  const server = await startTestServer(t)
  const identity = await createIdentity()
  const others: [string, Identity, object][] = [
    ['with features', identity, { features: ['ack'] }],
    ['with an empty list of features', identity, { features: [] }],
    ['with an ed25519 key', await createIdentity({ algorithm: 'ed25519' }), {}],
    ['with another encryption key', { ...identity, publicKey: (await quickIdentity()).publicKey }, {}]
  ]
  const heardBy = async (name: string, who: Identity, changes: object) => {
    const peer = await server.peer()
    peer.send(await registerFrame(name, who, changes))
    assert.equal((await peer.next()).type, 'register')
    peer.send({ type: 'message', payload: { targetId: 'nobody', message: 'text' } })
    peer.send({ type: 'discover', payload: {} })
    return [(await peer.next()).type, (await peer.next()).type]
  }
  assert.deepEqual(await heardBy('official', identity, {}), ['discover', 'message_queued'])
  for (const [name, who, changes] of others) {
    assert.deepEqual(await heardBy(name, who, changes), ['message_queued', 'discover'], name)
  }
})
