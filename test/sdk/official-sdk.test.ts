// The unmodified official SDK (@kynesyslabs/demosdk 2.9.1, from the registry), through its public API alone.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startTcpProxy } from '../helpers/proxy.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { newSeed, SDK, SdkPeer } from './sdk-peer.ts'

const ROUND_TRIPS_MS = [0, 60, 200]
const numbered = (count: number) => Array.from({ length: count }, (_, n) => `text ${n}`)

async function signalingServer(t: TestContext, settings = {}) {
  const server = await startTestServer(t, settings)
  return { server, url: server.addresses.signaling }
}

test('two peers find each other, exchange keys, and texts of every kind arrive unchanged', SDK, async (t) => {
  const { url } = await signalingServer(t)
  const [alice, bob] = await Promise.all([SdkPeer.connect(t, url, 'alice'), SdkPeer.connect(t, url, 'bob')])
  assert.deepEqual((await alice.call<string[]>('discoverPeers')).sort(), ['alice', 'bob'])
  assert.deepEqual(await alice.call('requestPublicKey', 'bob'), await bob.call('publicKey'))
  const texts = ['hello, bob', '🐙 نص עברית 漢字 👩‍👩‍👧‍👦', '', 'x'.repeat(120_000), '{"type":"error","payload":{}}']
  for (const text of texts) await alice.call('sendMessage', 'bob', text)
  assert.deepEqual(await bob.texts(texts.length), texts)
  assert.ok(bob.messages.every(({ from }) => from === 'alice'))
  await bob.call('sendMessage', 'alice', 'hello, alice')
  assert.deepEqual(await alice.texts(1), ['hello, alice'])
  await bob.call('disconnect')
  await until('alice hears that bob has left', () => alice.left.includes('bob'))
  assert.deepEqual(await alice.call('discoverPeers'), ['alice'])
})

test('an id that is taken, and a peer that nobody knows, are refused with a reason', SDK, async (t) => {
  const { url } = await signalingServer(t)
  const alice = await SdkPeer.connect(t, url, 'alice')
  const other = await SdkPeer.start(t, url, 'alice')
  await assert.rejects(other.call('connect'), /Client ID alice is already taken/)
  await assert.rejects(alice.call('requestPublicKey', 'nobody'), /Target peer nobody not found/)
  assert.deepEqual(await alice.call('discoverPeers'), ['alice'])
})

test('the server asks a question, and the application answers it', SDK, async (t) => {
  const { url } = await signalingServer(t)
  const alice = await SdkPeer.connect(t, url, 'alice')
  const asked = await alice.call<{ questionId: string }>('askForQuestion')
  await until('its handler was called', () => alice.questions.length === 1)
  assert.equal(alice.questions[0]!.questionId, asked.questionId)
  await alice.call('respondToServer', asked.questionId, { text: 'yes' })
  assert.deepEqual(await alice.call('discoverPeers'), ['alice'])
})

test('100 messages wait for an absent peer and arrive in order; the 101st is refused', SDK, async (t) => {
  const { server, url } = await signalingServer(t)
  const seed = newSeed()
  const bob = await SdkPeer.connect(t, url, 'bob', seed)
  await bob.call('disconnect')
  await until('bob is away', () => server.app.presence.size === 0)
  const alice = await SdkPeer.connect(t, url, 'alice')
  await alice.call('sendAll', 'bob', numbered(100))
  const waiting = async () => (await server.app.database.sql`select count(*)::int as n from queue_entry`)[0]!.n
  await until('100 wait', async () => (await waiting()) === 100)
  // `sendMessage` does not wait for an answer: the refusal comes to the application's handlers.
  await alice.call('sendMessage', 'bob', 'one too many')
  const refusal = await until('she is told', () => alice.notices.find(({ type }) => type === 'error'))
  assert.match(String(refusal.payload.details), /Offline message limit reached \(100 messages\)/)
  assert.equal(await waiting(), 100)
  await bob.call('connect')
  assert.deepEqual(await bob.texts(100), numbered(100))
  await server.emptied()
})

test('after a restart of the server an application that connects again has lost nothing', SDK, async (t) => {
  const { server, url } = await signalingServer(t)
  const [alice, bob] = await Promise.all([SdkPeer.connect(t, url, 'alice'), SdkPeer.connect(t, url, 'bob')])
  await bob.call('disconnect')
  await until('bob is away', () => server.app.presence.size === 1)
  await alice.call('sendAll', 'bob', ['before', 'the restart'])
  await alice.call('discoverPeers') // a round trip: the server has both
  await server.close()
  await until('alice notices', () => alice.states.at(-1) === 'disconnected')
  const port = Number(new URL(url).port)
  const again = await startTestServer(t, { DATABASE_URL: server.databaseUrl, RPC_SIGNALING_PORT: port })
  await Promise.all([alice.call('connect'), bob.call('connect')])
  assert.deepEqual(await bob.texts(2), ['before', 'the restart'])
  await alice.call('sendMessage', 'bob', 'and after it')
  assert.deepEqual((await bob.texts(3))[2], 'and after it')
  await again.emptied()
})

for (const roundTripMs of ROUND_TRIPS_MS) {
  test(
    `twenty sends in a row to an absent peer, and calls right after connect(), at ${roundTripMs} ms`,
    SDK,
    async (t) => {
      const { server, url: near } = await signalingServer(t)
      const { url } = await startTcpProxy(t, near, roundTripMs / 2)
      const [bob, carol] = await Promise.all([SdkPeer.connect(t, url, 'bob'), SdkPeer.connect(t, url, 'carol')])
      await bob.call('disconnect')
      await until('bob is away', () => server.app.presence.size === 1)
      const alice = await SdkPeer.connect(t, url, 'alice')
      await alice.call('sendAll', 'bob', numbered(20))
      await alice.call('sendMessage', 'carol', 'to one who is here, right after')
      assert.deepEqual((await alice.call<string[]>('discoverPeers')).sort(), ['alice', 'carol'])
      assert.deepEqual(await carol.texts(1), ['to one who is here, right after'])
      const present = await bob.call<string[]>('connectAndDiscover')
      assert.deepEqual(present.sort(), ['alice', 'bob', 'carol'])
      assert.deepEqual(await bob.texts(20), numbered(20))
      await server.emptied()
    }
  )
}
