// The audit trail as part of the server: what peers do there is what the logs say.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseRecord } from '../../src/audit/record.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../../src/tlog/note.ts'
import { decodeBundle } from '../../src/tlog/tiles.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { historyFrame, type L2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const TOKEN = 'a-token-for-tests-only'
const QUICK = { AUDIT_INTERVAL_MS: 50, AUDIT_ANCHOR_SECONDS: 1, ADMIN_TOKEN: TOKEN }

/** A record, whatever its type. */
type Seen = Record<string, unknown>

const get = (server: TestServer, path: string, headers = {}) => server.app.inject({ url: `/audit/${path}`, headers })

/** The records of a network, once there are so many. */
async function records(server: TestServer, network: string, count: number): Promise<Seen[]> {
  const verifier = parseVerifier((await get(server, 'vkey')).body.trim())
  const size = await until(`the log of ${network} has ${count} records`, async () => {
    const checkpoint = await get(server, `${network}/checkpoint`)
    const size = checkpoint.statusCode === 200 ? parseCheckpoint(openNote(checkpoint.body, verifier)).size : 0
    return size >= count && size
  })
  assert.equal(size, count)
  const url = `${network}/tile/entries/000.p/${size}`
  const bundle = await get(server, url, { authorization: `Bearer ${TOKEN}` })
  return decodeBundle(bundle.rawPayload).map((entry) => parseRecord(entry) as unknown as Seen)
}

test('every accepted message of signaling leaves one record, a refused one none', async (t) => {
  const server = await startTestServer(t, { ...QUICK, SIGNALING_QUOTA_PER_SENDER: 2 })
  const alice = await server.join('alice')
  const bob = await server.join('bob é')
  const say = (targetId: string, message: unknown) =>
    alice.send({ type: 'message', payload: { targetId, message }, timestamp: 1 })
  say('bob é', { text: 'for the one who is here' })
  await bob.next('message')
  for (const text of ['waits', 'waits, too', 'one too many']) say('carol', { text })
  for (const type of ['message_queued', 'message_queued', 'error']) await alice.next(type)
  const found = await records(server, 'signaling', 3)
  const digest = (message: unknown) => createHash('sha256').update(JSON.stringify(message)).digest('hex')
  const bodies = [{ text: 'for the one who is here' }, { text: 'waits' }, { text: 'waits, too' }]
  assert.deepEqual(
    found.map(({ salt, acceptedAtMs, ...record }) => record),
    bodies.map((body, index) => ({
      ...{ version: 1, network: 'signaling', type: 'instantMessaging', nonce: index + 1, from: 'alice' },
      ...{ to: index === 0 ? 'bob %C3%A9' : 'carol', digest: digest(body), sizeBytes: JSON.stringify(body).length }
    }))
  )
  assert.equal(new Set(found.map(({ salt }) => salt)).size, 3)
})

test('a name that registers another encryption key leaves a record of it', async (t) => {
  const server = await startTestServer(t, QUICK)
  const identity = await quickIdentity()
  const publicKey = crypto.getRandomValues(new Uint8Array(36))
  for (const key of [identity.publicKey, identity.publicKey, publicKey]) {
    await (await server.join('alice', { ...identity, publicKey: key })).close()
  }
  const [record, ...others] = await records(server, 'signaling', 1)
  assert.deepEqual(others, [])
  const digest = createHash('sha256').update(publicKey).digest('hex').slice(0, 32)
  assert.deepEqual([record!.type, record!.from, record!.digest], ['keyChange', 'alice', digest])
})

test('an L2PS message is recorded once however often it is sent, and its history leads to its proof', async (t) => {
  const server = await startTestServer(t, QUICK)
  await server.addNetworks('net', 'other')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  for (let time = 0; time < 3; time++) {
    await alice.answerTo(alice.send(sendFrame(bob.key, 'AAAA', 'first'))) // a retry, too
    await alice.answerTo(alice.send(sendFrame(bob.key, 'AAAA', `message ${time}`)))
  }
  await alice.answerTo(alice.send(sendFrame(bob.key, 'BBBB', 'first'))) // refused
  await alice.answerTo(alice.send(sendFrame('44'.repeat(32), 'AAAA', 'for one who is away')))
  const found = await records(server, 'net', 5)
  assert.deepEqual(
    found.map(({ digest }) => digest).sort(),
    ['first', 'for one who is away', 'message 0', 'message 1', 'message 2'].sort()
  )
  assert.equal((await get(server, 'other/checkpoint')).statusCode, 404)

  const message = await untilStatus(alice, bob.key, 'first', 'l2ps_confirmed')
  const proof = await get(server, `net/proof/${message.l2psTxHash}`)
  assert.match(proof.body, /^c2sp\.org\/tlog-proof@v1\nindex \d+\n/)
  assert.equal((await get(server, `other/proof/${message.l2psTxHash}`)).statusCode, 404)
  const queued = await untilStatus(alice, '44'.repeat(32), 'for one who is away', 'queued')
  assert.match(queued.l2psTxHash, /^[0-9a-f]{64}$/)
})

function untilStatus(peer: L2psPeer, peerKey: string, messageHash: string, status: string) {
  return until(`${messageHash} is ${status}`, async () => {
    const reply = await peer.answerTo(peer.send(await historyFrame(peer.signer, peerKey)))
    const message = reply.payload.messages.find((each: Seen) => each.messageHash === messageHash)
    return message?.status === status && message.l2psTxHash !== null && message
  })
}

test('records are for the admin, or for everybody where the network says so', async (t) => {
  const server = await startTestServer(t, QUICK)
  await server.addNetworks('closed', 'open')
  const sender = await server.join('sender')
  sender.send({ type: 'message', payload: { targetId: 'away', message: 'x' }, timestamp: 1 })
  await records(server, 'signaling', 1)
  await server.app.database.sql`update l2ps_network set audit_public = true where uid = 'open'`
  await server.app.networks.refresh()
  for (const uid of ['closed', 'open']) {
    const alice = await server.enter(uid)
    await alice.answerTo(alice.send(sendFrame('55'.repeat(32))))
    await records(server, uid, 1)
  }
  const bundle = (uid: string, authorization?: string) =>
    get(server, `${uid}/tile/entries/000.p/1`, authorization === undefined ? {} : { authorization })
  assert.equal((await bundle('open')).statusCode, 200)
  assert.equal((await bundle('closed')).statusCode, 401)
  for (const wrong of [`Bearer ${TOKEN}x`, `Basic ${TOKEN}`, TOKEN, 'Bearer ', `Bearer ${TOKEN} x`, 'Bearer']) {
    assert.equal((await bundle('closed', wrong)).statusCode, 401, wrong)
  }
  assert.equal((await bundle('closed', `bearer ${TOKEN}`)).statusCode, 200)
  for (const network of ['signaling', 'anchors']) {
    await records(server, network, network === 'signaling' ? 1 : 3)
    assert.equal((await get(server, `${network}/tile/entries/000.p/1`)).statusCode, 401)
  }
})

test('what an administrator deletes or releases leaves a record of it', async (t) => {
  const server = await startTestServer(t, QUICK)
  const alice = await server.join('alice')
  for (const targetId of ['carol', 'carol', 'dave']) {
    alice.send({ type: 'message', payload: { targetId, message: 'x' }, timestamp: 1 })
    await alice.next('message_queued')
  }
  await alice.close()
  const authorization = `Bearer ${TOKEN}`
  for (const url of ['/admin/queues/signaling/carol', '/admin/identities/signaling/alice']) {
    const answer = await server.app.inject({ method: 'DELETE', url, headers: { authorization } })
    assert.equal(answer.statusCode, 200, answer.body)
  }
  const found = (await records(server, 'signaling', 5)).slice(3)
  assert.deepEqual(
    found.map(({ salt, acceptedAtMs, ...record }) => record),
    [
      { version: 1, network: 'signaling', type: 'purge', to: 'carol', entries: 2, sizeBytes: 6 },
      { version: 1, network: 'signaling', type: 'identityRelease', peer: 'alice' }
    ]
  )
})

test('two relays of a cluster keep one log', async (t) => {
  const settings = { ...QUICK, CLUSTER_NAME: 'test' }
  const { url } = await createTestDatabase(t)
  const first = await startTestServer(t, { ...settings, DATABASE_URL: url })
  const second = await startTestServer(t, { ...settings, DATABASE_URL: url })
  const peers = await Promise.all([first.join('at the first'), second.join('at the second')])
  for (const peer of peers) {
    for (let number = 0; number < 20; number++) {
      peer.send({ type: 'message', payload: { targetId: 'away', message: { number } }, timestamp: 1 })
    }
  }
  for (const peer of peers) for (let number = 0; number < 20; number++) await peer.next('message_queued')
  const [here, there] = [await records(first, 'signaling', 40), await records(second, 'signaling', 40)]
  assert.deepEqual(here, there)
  for (const from of ['at the first', 'at the second']) {
    assert.deepEqual(
      here.filter((record) => record.from === from).map(({ nonce }) => nonce),
      Array.from({ length: 20 }, (_, place) => place + 1)
    )
  }
  for (const path of ['vkey', 'signaling/checkpoint']) {
    assert.equal((await get(first, path)).body, (await get(second, path)).body)
  }
})

test('without ADMIN_TOKEN one is made once, for the owner of the directory alone', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const first = await startTestServer(t, { DATA_DIR: dataDir })
  const path = join(dataDir, 'admin.token')
  assert.equal(first.app.adminToken.file, path)
  const token = (await readFile(path, 'utf8')).trim()
  assert.match(token, /^[A-Za-z0-9_-]{43}$/)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.ok(first.app.adminToken.matches(token) && !first.app.adminToken.matches(token.slice(1)))
  await first.close()
  const second = await startTestServer(t, { DATA_DIR: dataDir })
  assert.ok(second.app.adminToken.matches(token))
})
