// Two of our own clients, through the real server, in one network.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdentity, openTextFromSubnet, sealForSubnet } from '../../client/src/index.ts'
import { clientFor, join } from '../client/l2ps-clients.ts'
import { collect, next } from '../client/waits.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'

const subnetKey = crypto.getRandomValues(new Uint8Array(32))
const seal = (text: string) => sealForSubnet(text, subnetKey)
const open = (encrypted: unknown) => openTextFromSubnet(encrypted, subnetKey)
const portOf = (url: string | undefined) => Number(new URL(url!).port)

/** Stops the server and starts another where it was. */
async function restart(t: Parameters<typeof startTestServer>[0], server: TestServer): Promise<TestServer> {
  await server.close()
  const settings = { DATABASE_URL: server.databaseUrl, L2PS_MESSAGING_PORT: portOf(server.addresses.l2ps) }
  const again = await startTestServer(t, settings)
  assert.equal(again.addresses.l2ps, server.addresses.l2ps)
  return again
}

test('two clients exchange messages and read their history', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const url = server.addresses.l2ps!
  const alice = await join(t, { url })
  const joined = next(alice.events, 'peerJoined')
  const bob = await join(t, { url, signer: await createIdentity({ algorithm: 'ml-dsa' }) })
  assert.deepEqual(await joined, { publicKey: bob.publicKey })
  assert.deepEqual([[...alice.peers], [...bob.peers]], [[bob.publicKey], [alice.publicKey]])
  assert.deepEqual(new Set(await bob.discover()), new Set([alice.publicKey, bob.publicKey]))
  assert.equal(await alice.requestPublicKey(bob.publicKey.toUpperCase()), bob.publicKey)
  assert.equal(await alice.requestPublicKey('00'.repeat(32)), null)

  const heard = collect(bob.events, 'message', 30)
  for (let i = 0; i < 30; i++) await alice.send(bob.publicKey, await seal(`to bob ${i}`))
  const messages = await heard
  for (const [i, { from, encrypted, offline }] of messages.entries()) {
    assert.deepEqual([from, await open(encrypted), offline], [alice.publicKey, `to bob ${i}`, false])
  }
  const { encrypted, messageHash } = messages[0]!
  await alice.send(bob.publicKey, encrypted, { messageHash }) // a repeat
  const other = alice.send(bob.publicKey, await seal('another'), { messageHash })
  await assert.rejects(other, { errorType: 'L2PS_SUBMIT_FAILED', details: 'Duplicate message' })

  const left = next(alice.events, 'peerLeft')
  await bob.close()
  assert.deepEqual(await left, { publicKey: bob.publicKey })
  assert.equal((await alice.send(bob.publicKey, await seal('while you were away'))).status, 'queued')
  const late = next(bob.events, 'message')
  await bob.connect()
  assert.equal((await late).offline, true)
  assert.equal(await open((await late).encrypted), 'while you were away')
  await assert.rejects(bob.history(alice.publicKey, { limit: 0 }), { errorType: 'INVALID_MESSAGE' })

  const said = ['while you were away', ...Array.from({ length: 30 }, (_, i) => `to bob ${29 - i}`)]
  for (const [reader, peer] of [
    [alice, bob],
    [bob, alice]
  ] as const) {
    const read: string[] = []
    for await (const stored of reader.historyOf(peer.publicKey, { pageSize: 7 }))
      read.push(await open(stored.encrypted))
    assert.deepEqual(read, said)
  }
})

test('a network that does not exist, and one that is for others, look the same', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks({ uid: 'club', members: ['00'.repeat(32)] })
  for (const l2psUid of ['nowhere', 'club']) {
    const stranger = await clientFor(t, { url: server.addresses.l2ps!, l2psUid })
    const expected = { errorType: 'L2PS_NOT_FOUND', details: `L2PS network ${l2psUid} not found` }
    await assert.rejects(stranger.connect(), expected)
  }
})

test('clients survive a restart of the server: messages sent meanwhile arrive once, and history continues', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await join(t, { url: server.addresses.l2ps! }), await join(t, { url: server.addresses.l2ps! })]
  const heard: string[] = []
  bob.events.on('message', ({ messageHash }) => heard.push(messageHash))
  const hashes = Array.from({ length: 60 }, (_, i) => `hash ${i}`)
  const encrypted = await seal('hello')
  const sends = hashes.slice(0, 30).map((hash) => alice.send(bob.publicKey, encrypted, { messageHash: hash }))
  const back = Promise.all([next(alice.events, 'connected'), next(bob.events, 'connected')])
  const lost = next(alice.events, 'disconnected')
  const restarted = restart(t, server) // some of the sends are under way
  assert.deepEqual([(await lost).code, alice.state], [1001, 'connecting'])
  sends.push(...hashes.slice(30).map((hash) => alice.send(bob.publicKey, encrypted, { messageHash: hash })))
  await restarted
  assert.ok((await back).every(({ again }) => again))
  for (const { status } of await Promise.all(sends)) assert.ok(['sent', 'queued'].includes(status))

  await (await restarted).emptied()
  await bob.discover() // a round trip: what was pushed before has come
  assert.deepEqual([...new Set(heard)], hashes)
  const stored: string[] = []
  for await (const { messageHash } of bob.historyOf(alice.publicKey)) stored.unshift(messageHash)
  assert.deepEqual(stored, hashes)
  assert.deepEqual([...alice.peers], [bob.publicKey])
})
