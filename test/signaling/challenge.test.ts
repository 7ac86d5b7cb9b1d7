// A registration that signs a challenge, and names that have used one (docs/protocol.md, 2.9).
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Challenges as ClientChallenges } from '../../client/src/challenge.ts'
import { createIdentity, createSigner, signed } from '../../client/src/identity.ts'
import { createSignalingClient } from '../../client/src/signaling.ts'
import { challengeText } from '../../src/signaling/challenges.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { startAdministered } from '../admin/helpers.ts'
import { startCluster } from '../cluster/relays.ts'
import { askChallenge, challengedFrame } from '../helpers/challenge.ts'
import { type Peer, quickIdentity, registerFrame } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

const PUBLIC = 'wss://relay.example'
const startPublic = (t: Parameters<typeof startTestServer>[0]) => startTestServer(t, { PUBLIC_ORIGINS: PUBLIC })

/** The type of the answer, or of the error. */
async function answerTo(peer: Peer, frame: unknown): Promise<string> {
  peer.send(frame)
  const { type, payload } = await peer.next()
  return type === 'error' ? payload.errorType : type
}

/** Registers with a challenge on a new socket, which stays open. */
async function joinChallenged(server: TestServer, id: string, identity: Peer['identity']): Promise<Peer> {
  const peer = await server.peer()
  const challenge = await askChallenge(peer, PUBLIC)
  assert.equal(await answerTo(peer, await challengedFrame(id, identity, challenge)), 'register')
  return peer
}

test('every algorithm of the protocol answers a challenge', async (t) => {
  const server = await startPublic(t)
  for (const algorithm of ['ed25519', 'ml-dsa'] as const) {
    await joinChallenged(server, algorithm, await createIdentity({ algorithm }))
  }
})

test('a name that was registered with a challenge is registered with one only, also after a restart', async (t) => {
  const first = await startPublic(t)
  const owner = await quickIdentity()
  await (await first.join('alice', owner)).close() // an ordinary registration first: the name may change over
  await (await joinChallenged(first, 'alice', owner)).close()
  const old = await registerFrame('alice', owner)
  assert.equal(await answerTo(await first.peer(), old), 'CHALLENGE_REQUIRED')
  const { serializedSignedData } = (await registerFrame('alice', await quickIdentity())).payload.verification
  const forged = { ...old.payload, verification: { ...old.payload.verification, serializedSignedData } }
  const answer = await answerTo(await first.peer(), { type: 'register', payload: forged })
  assert.equal(answer, 'CHALLENGE_REQUIRED', 'before a signature is checked')
  await first.close()
  const second = await startTestServer(t, { DATABASE_URL: first.databaseUrl, PUBLIC_ORIGINS: PUBLIC })
  const other = { ...owner, publicKey: crypto.getRandomValues(new Uint8Array(36)) }
  for (const identity of [owner, other]) {
    const frame = await registerFrame('alice', identity)
    assert.equal(await answerTo(await second.peer(), frame), 'CHALLENGE_REQUIRED')
  }
  await joinChallenged(second, 'alice', other)
})

test('the proof of a name that uses challenges is no help to whoever recorded it', async (t) => {
  const server = await startPublic(t)
  const owner = await quickIdentity()
  const alice = await server.peer()
  const recorded = await challengedFrame('alice', owner, await askChallenge(alice, PUBLIC))
  assert.equal(await answerTo(alice, recorded), 'register')
  await alice.close()

  const thief = await server.peer()
  assert.equal(await answerTo(thief, recorded), 'CHALLENGE_EXPIRED', 'on a socket without a challenge')
  await askChallenge(thief, PUBLIC)
  assert.equal(await answerTo(thief, recorded), 'INVALID_PROOF', 'on a socket with another challenge')
  const { features, ...plain } = recorded.payload
  assert.equal(await answerTo(thief, { type: 'register', payload: plain }), 'INVALID_PROOF', 'as an ordinary proof')
  const own = { ...plain, publicKey: [...Buffer.from(plain.verification.serializedMessage, 'base64')] }
  assert.equal(await answerTo(thief, { type: 'register', payload: own }), 'INVALID_PROOF', 'with its text as the key')
  assert.deepEqual(features, ['challenge'])
})

test('a challenge is answered once, on its own socket, for the id, the key and the origin that it is signed with', async (t) => {
  const server = await startTestServer(t, { PUBLIC_ORIGINS: `${PUBLIC},wss://second.example` })
  const owner = await quickIdentity()
  const [peer, neighbour] = [await server.peer(), await server.peer()]
  const others = await askChallenge(neighbour, PUBLIC)
  const failing: [what: string, change: (real: typeof others) => object | Promise<object>][] = [
    ['a nonce of another socket', (real) => challengedFrame('alice', owner, { ...real, nonce: others.nonce })],
    ['another time', (real) => challengedFrame('alice', owner, { ...real, time: real.time + 1 })],
    ['another origin', (real) => challengedFrame('alice', owner, { ...real, origin: 'wss://second.example' })],
    [
      'another id',
      async (real) => {
        const frame = await challengedFrame('alicia', owner, real)
        return { ...frame, payload: { ...frame.payload, clientId: 'alice' } }
      }
    ],
    [
      'another encryption key',
      async (real) => {
        const frame = await challengedFrame('alice', owner, real)
        return { ...frame, payload: { ...frame.payload, publicKey: [1, 2, 3] } }
      }
    ],
    [
      'the ordinary message',
      async () => {
        const frame = await registerFrame('alice', owner)
        return { ...frame, payload: { ...frame.payload, features: ['challenge'] } }
      }
    ],
    [
      'a signature of another key',
      async (real) => {
        const { payload } = await challengedFrame('alice', owner, real)
        const forged = await signed(
          await quickIdentity(),
          Buffer.from(payload.verification.serializedMessage, 'base64')
        )
        const verification = { ...payload.verification, serializedSignedData: forged.serializedSignedData }
        return { type: 'register', payload: { ...payload, verification } }
      }
    ]
  ]
  for (const [what, change] of failing) {
    const real = await askChallenge(peer, PUBLIC)
    assert.equal(await answerTo(peer, await change(real)), 'INVALID_PROOF', what)
    assert.equal(
      await answerTo(peer, await challengedFrame('alice', owner, real)),
      'CHALLENGE_EXPIRED',
      `${what}: used up`
    )
  }
  assert.equal(await answerTo(neighbour, await challengedFrame('bob', owner, others)), 'register')
})

test('challenges are given at the origins of the server alone, and on loopback where none is set', async (t) => {
  const server = await startPublic(t)
  const peer = await server.peer()
  const ask = (at: Peer, origin: unknown) => answerTo(at, { type: 'challenge', payload: { origin } })
  for (const origin of [
    'wss://evil.example',
    'ws://relay.example',
    'wss://relay.example:1',
    'null',
    '',
    7,
    undefined
  ]) {
    assert.equal(await ask(peer, origin), 'INVALID_MESSAGE', String(origin))
  }
  assert.equal(await ask(peer, server.addresses.signaling), 'INVALID_MESSAGE')
  assert.equal(await ask(peer, PUBLIC), 'challenge')

  const local = await startTestServer(t)
  const localPeer = await local.peer()
  const { port, origin } = new URL(local.addresses.signaling)
  for (const own of [origin, `ws://localhost:${port}`, `ws://[::1]:${port}`]) {
    assert.equal(await ask(localPeer, own), 'challenge', own)
  }
  for (const foreign of [PUBLIC, `wss://localhost:${port}`, 'ws://localhost', 'ws://localhost:1']) {
    assert.equal(await ask(localPeer, foreign), 'INVALID_MESSAGE', foreign)
  }
})

test('a relay of a cluster knows that a name used a challenge at another', async (t) => {
  const { relays } = await startCluster(t, 2, 'postgres', { PUBLIC_ORIGINS: PUBLIC })
  const [here, there] = relays as [TestServer, TestServer]
  const owner = await quickIdentity()
  const alice = await joinChallenged(here, 'alice', owner)
  const old = await registerFrame('alice', owner)
  for (const relay of [here, there]) {
    assert.equal(await answerTo(await relay.peer(), old), 'CHALLENGE_REQUIRED', 'while it is connected')
  }
  await alice.nothingMore()
  await alice.close()
  assert.equal(await answerTo(await there.peer(), old), 'CHALLENGE_REQUIRED')
  await joinChallenged(there, 'alice', owner)
})

test('a released name may be registered without a challenge again', async (t) => {
  const server = await startAdministered(t, { PUBLIC_ORIGINS: PUBLIC })
  const owner = await quickIdentity()
  await (await joinChallenged(server, 'alice', owner)).close()
  const path = '/identities/signaling/alice'
  assert.equal((await server.ok('GET', path)).challenged, true)
  await server.ok('DELETE', path)
  await server.join('alice', owner)
  assert.equal((await server.ok('GET', path)).challenged, false)
})

test('our client answers challenges where there are any, again after a restart, and then no proof of old', async (t) => {
  const server = await startTestServer(t)
  const identity = await createIdentity({ algorithm: 'ed25519' })
  const options = { url: server.addresses.signaling, clientId: 'alice', identity, reconnect: false } as const
  const alice = createSignalingClient(options)
  t.after(() => alice.close())
  await alice.connect()
  await alice.close()
  assert.equal(await answerTo(await server.peer(), await registerFrame('alice', identity)), 'CHALLENGE_REQUIRED')
  await alice.connect()
  await alice.close()

  const without = createSignalingClient({ ...options, challenge: 'never' })
  await assert.rejects(without.connect(), { name: 'RelayError', errorType: 'CHALLENGE_REQUIRED' })
  const elsewhere = await startPublic(t) // this one is not known by the address of the test
  const fallsBack = createSignalingClient({ ...options, url: elsewhere.addresses.signaling })
  t.after(() => fallsBack.close())
  await fallsBack.connect()
  await elsewhere.join('bob')
  const strict = createSignalingClient({ ...options, url: elsewhere.addresses.signaling, challenge: 'required' })
  await assert.rejects(strict.connect(), { name: 'RelayError', errorType: 'CHALLENGE_REFUSED' })
})

interface Vector {
  readonly name: string
  readonly seedHex: string
  readonly origin: string
  readonly challenge: { readonly nonce: string; readonly time: number }
  readonly payload: { readonly clientId: string; readonly publicKey: number[]; readonly verification: object }
}

test('the vectors are what the client answers and the server expects', async () => {
  const text = await readFile(packageFile('test/vectors/signaling-challenges.json'), 'utf8')
  for (const { seedHex, origin, challenge, payload } of (JSON.parse(text) as { vectors: Vector[] }).vectors) {
    const { clientId } = payload
    const publicKey = Uint8Array.from(payload.publicKey)
    const signer = await createSigner('ed25519', Buffer.from(seedHex, 'hex'))
    const identity = { ...signer, publicKey, secretKey: new Uint8Array() }
    const client = new ClientChallenges({ url: `${origin}/signaling`, clientId, identity })
    assert.deepEqual(await client.answer(async () => challenge), payload.verification)
    const issued = { origin, ...challenge, issuedAt: 0 }
    const expected = challengeText(issued, { ...payload, verification: {} as never })
    const { serializedMessage } = payload.verification as { serializedMessage: string }
    assert.equal(Buffer.from(expected).toString('base64'), serializedMessage)
  }
})
