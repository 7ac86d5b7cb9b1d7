import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { readDiskSpace } from '../../../src/observability/disk-space.ts'
import { METRICS } from '../../../src/observability/metrics/catalogue.ts'
import { PROTOCOLS } from '../../../src/protocol/frames.ts'
import { createTestDatabase, temporaryDirectory } from '../../helpers/database.ts'
import { historyFrame, registerFrame as l2psRegister, sendFrame } from '../../helpers/l2ps-peer.ts'
import { openPeer, quickIdentity, quickSigner, registerFrame } from '../../helpers/peer.ts'
import { startTcpProxy } from '../../helpers/proxy.ts'
import { startTestServer, type TestServer } from '../../helpers/server.ts'
import { until } from '../../helpers/wait.ts'
import { DECLARED, type Sample, scrape, total } from './exposition.ts'

const NETWORK = 'network-of-secrets'
const send = (targetId: string, message: unknown = 'sealed-text') => ({
  type: 'message',
  payload: { targetId, message }
})

/** Waits until a number that is read in the background is there. */
function shown(server: TestServer, holds: (samples: readonly Sample[]) => boolean): Promise<Sample[]> {
  return until('/metrics shows it', async () => {
    const { samples } = await scrape(server)
    return holds(samples) && samples
  })
}

/** Peers of both protocols say what they can, and what they should not; returns every id that was used. */
async function speakBothProtocols(server: TestServer): Promise<string[]> {
  const [alice, bob] = [await server.join('alice-the-peer'), await server.join('bob-the-peer')]
  for (const to of ['bob-the-peer', 'nobody-at-all']) alice.send(send(to))
  await bob.next('message')
  alice.send({ type: '__proto__', payload: { x: 1 } })
  alice.send({ type: 'type-made-up-by-a-peer', payload: { x: 1 } })
  await alice.next('error')

  await server.addNetworks(NETWORK)
  const [carol, dave] = [await server.enter(NETWORK), await server.enter(NETWORK)]
  await carol.answerTo(carol.send(sendFrame(dave.key, 'AAAA', 'hash-of-a-message')))
  await dave.next('message')
  await carol.answerTo(carol.send(await historyFrame(carol.signer, dave.key)))
  await carol.answerTo(carol.send('type-made-up-by-a-key', { x: 1 }))
  await carol.answerTo(carol.send(sendFrame(carol.key)))
  return [
    alice.clientId,
    bob.clientId,
    'nobody-at-all',
    carol.key,
    dave.key,
    NETWORK,
    'hash-of-a-message',
    'made-up',
    'sealed-text'
  ]
}

test('every metric that is declared is shown, and nothing else', async (t) => {
  const server = await startTestServer(t, { CLUSTER_NAME: 'one' })
  const isShown = (samples: readonly Sample[], name: string) => samples.some((sample) => sample.name === name)
  const samples = await shown(
    server,
    (now) => isShown(now, METRICS.ready.name) && isShown(now, METRICS.auditLogRecords.name)
  )
  const declared = [...DECLARED.keys()].filter((name) => name !== METRICS.tlsCertificateExpiry.name) // no TLS here
  assert.deepEqual([...new Set(samples.map(({ name }) => name))].sort(), declared.sort())
})

test('no label has a value that is not declared, whatever peers say, and no id is shown at all', async (t) => {
  const server = await startTestServer(t)
  const ids = await speakBothProtocols(server)
  const { text, samples } = await scrape(server)
  for (const { name, labels } of samples) {
    const { le, ...ours } = labels
    const declared = DECLARED.get(name)
    assert.ok(declared, name)
    assert.equal(le !== undefined, name.endsWith('_bucket'), name)
    assert.deepEqual(Object.keys(ours).sort(), Object.keys(declared.labels).sort(), name)
    for (const [label, value] of Object.entries(ours))
      assert.ok(declared.labels[label]!.includes(value), `${name} ${value}`)
  }
  for (const id of [...ids, '127.0.0.1', server.databaseUrl]) assert.ok(!text.includes(id), id)
})

for (const { name: protocol, clientFrames } of PROTOCOLS) {
  test(`every frame of ${protocol} counts under its type, what is none as unknown, and refusals by code`, async (t) => {
    const server = await startTestServer(t)
    const peer = protocol === 'signaling' ? await server.peer() : await server.l2psPeer()
    const types = clientFrames.map(({ frame }) => frame.type)
    for (const type of types) peer.ws.send(JSON.stringify({ type, payload: {} }))
    const strange = ['no JSON', '[]', '{"type":7,"payload":{}}', '{"type":"toString","payload":{}}', 'x'.repeat(20_000)]
    for (const text of strange) peer.ws.send(text)
    peer.ws.send(Buffer.from('binary'))
    const sent = types.length + strange.length + 1
    for (let n = 0; n < sent; n++) await peer.next('error')
    const { samples } = await scrape(server)
    for (const type of types) assert.equal(total(samples, METRICS.framesReceived.name, { protocol, type }), 1, type)
    assert.equal(total(samples, METRICS.framesReceived.name, { protocol, type: 'unknown' }), strange.length + 1)
    assert.equal(total(samples, METRICS.framesReceived.name), sent)
    assert.ok(total(samples, METRICS.frameBytes.name, { protocol }) > 20_000)
    const code = 'REGISTRATION_REQUIRED'
    const open = types.filter((type) => type === 'register' || type === 'challenge').length // before a registration
    assert.equal(total(samples, METRICS.framesRefused.name, { protocol, code }), types.length - open)
    const invalid = strange.length + 1 + open
    assert.equal(total(samples, METRICS.framesRefused.name, { protocol, code: 'INVALID_MESSAGE' }), invalid)
  })
}

test('a message is counted and timed on its way: handed over, committed, receipted', async (t) => {
  const server = await startTestServer(t, { SIGNALING_QUOTA_PER_SENDER: 3 })
  const alice = await server.join('alice')
  const bob = await server.join('bob')
  for (let n = 0; n < 7; n++) alice.send(send('bob', { n }))
  for (let n = 0; n < 7; n++) await bob.next('message')
  for (let n = 0; n < 4; n++) alice.send(send('nobody', { n }))
  for (let n = 0; n < 3; n++) await alice.next('message_queued')
  await alice.next('error')
  const protocol = 'signaling'
  const samples = await shown(server, (now) => total(now, METRICS.delivered.name, { protocol }) === 7)
  const ours = (metric: { name: string }, labels = {}, ending = '') =>
    total(samples, `${metric.name}${ending}`, { protocol, ...labels })
  assert.deepEqual([ours(METRICS.accepted, { route: 'live' }), ours(METRICS.accepted, { route: 'queued' })], [7, 3])
  assert.deepEqual([ours(METRICS.rejected, { reason: 'quota' }), ours(METRICS.rejected)], [1, 1])
  assert.equal(ours(METRICS.delivered, { receipt: 'pong' }), 7)
  assert.equal(ours(METRICS.acceptSeconds, {}, '_count'), 11)
  assert.equal(ours(METRICS.deliverySeconds, {}, '_count'), 7)
  assert.equal(ours(METRICS.commitGroup, {}, '_sum'), 11)
  assert.equal(ours(METRICS.commitGroup, {}, '_count'), ours(METRICS.commitSeconds, {}, '_count'))
  for (const metric of [
    METRICS.acceptSeconds,
    METRICS.deliverySeconds,
    METRICS.receiptSeconds,
    METRICS.commitSeconds
  ]) {
    const seconds = ours(metric, {}, '_sum')
    assert.ok(seconds > 0 && seconds < 60, `${metric.name} ${seconds}`)
    assert.equal(ours(metric, { le: '+Inf' }, '_bucket'), ours(metric, {}, '_count'))
  }
  assert.equal(total(samples, `${METRICS.acceptSeconds.name}_count`, { protocol: 'l2ps' }), 0)
})

test('what waits is shown: in mailboxes with its age, in windows with how long nothing moved', async (t) => {
  let ahead = 0
  const server = await startTestServer(t, { RECEIPTS: 'ack' }, { now: () => Date.now() + ahead })
  const alice = await server.join('alice')
  const bob = await server.join('bob') // offers no ack: what he is sent stays in his window
  for (const to of ['bob', 'bob', 'away']) alice.send(send(to, 'xxxxxxxx'))
  await alice.next('message_queued')
  await bob.next('message')
  const labels = { protocol: 'signaling' }
  await shown(server, (now) => total(now, METRICS.queueEntries.name, labels) === 3)
  ahead = 3_600_000
  const samples = await shown(
    server,
    (now) =>
      total(now, METRICS.deliveryStalled.name, labels) > 0.2 &&
      total(now, METRICS.queueOldestAge.name, labels) >= 3_600 &&
      total(now, METRICS.queueFiguresAge.name) < 60
  )
  assert.equal(total(samples, METRICS.queueBytes.name, labels), 30)
  assert.deepEqual(
    [METRICS.windowMessages, METRICS.windowBytes, METRICS.sessions, METRICS.sockets].map(({ name }) =>
      total(samples, name, labels)
    ),
    [2, 20, 2, 2]
  )
  const none = [
    METRICS.queueEntries,
    METRICS.queueOldestAge,
    METRICS.windowMessages,
    METRICS.deliveryStalled,
    METRICS.sockets
  ]
  for (const { name } of none) assert.equal(total(samples, name, { protocol: 'l2ps' }), 0, name)
})

test('a message counts as redelivered when a session that had been sent it ended without a receipt', async (t) => {
  const server = await startTestServer(t)
  const proxy = await startTcpProxy(t, server.addresses.signaling)
  const owner = await quickIdentity()
  const alice = await server.join('alice')
  const first = await openPeer(t, proxy.url)
  first.send(await registerFrame('bob', owner))
  await first.next('register')
  alice.send(send('bob', 'receipted'))
  await first.next('message')
  await server.emptied()
  proxy.freeze() // the server's writes still succeed
  for (let n = 0; n < 5; n++) alice.send(send('bob', { n }))
  await shown(server, (now) => total(now, METRICS.windowMessages.name) === 5)
  const again = await server.join('bob', owner)
  for (let n = 0; n < 5; n++) await again.next('message')
  await server.emptied()
  await again.close()
  await alice.next('peer_disconnected')
  for (let n = 0; n < 3; n++) alice.send(send('bob', { n })) // never sent before
  for (let n = 0; n < 3; n++) await alice.next('message_queued')
  const third = await server.join('bob', owner)
  for (let n = 0; n < 3; n++) await third.next('message')
  await server.emptied()
  const { samples } = await scrape(server)
  assert.equal(total(samples, METRICS.redelivered.name), 5)
  assert.equal(total(samples, METRICS.delivered.name), 9)
})

test('closed and refused sockets are counted by why', async (t) => {
  const server = await startTestServer(t, {
    ...{ ALLOWED_ORIGINS: 'https://ours.example', MAX_CONNECTIONS: 8, REGISTRATION_DEADLINE_SECONDS: 1 }
  })
  const owner = await quickIdentity()
  await assert.rejects(openPeer(t, server.addresses.signaling, { origin: 'https://theirs.example' }))
  const [early, lost] = [await server.join('early'), await server.join('lost')]
  await early.close()
  lost.terminate()
  const silent = await server.peer()
  const dismissed = await server.join('dismissed', owner)
  await silent.closed
  server.app.presence.sessions('signaling', 'dismissed')[0]!.dismiss('dismissed')
  await dismissed.closed
  const closed = (samples: readonly Sample[], reason: string) => total(samples, METRICS.socketsClosed.name, { reason })
  const samples = await shown(server, (now) => total(now, METRICS.socketsClosed.name) === 4)
  for (const reason of ['peer', 'lost', 'unregistered', 'dismissed']) assert.equal(closed(samples, reason), 1, reason)
  for (let n = 0; n < 4; n++) await server.join(`peer ${n}`)
  await assert.rejects(server.peer())
  for (let n = 0; n < 4; n++) await openPeer(t, server.addresses.signaling, { localAddress: '127.0.0.2' })
  await assert.rejects(openPeer(t, server.addresses.signaling, { localAddress: '127.0.0.3' }))
  const after = (await scrape(server)).samples
  const refused = ['origin', 'full', 'unregistered', 'address'].map((reason) =>
    total(after, METRICS.socketsRefused.name, { reason })
  )
  assert.deepEqual(refused, [1, 1, 0, 1])
})

test('the room that is left on the disk is shown, and what the database takes', async (t) => {
  const DATA_DIR = await temporaryDirectory(t)
  const server = await startTestServer(t, { DATA_DIR })
  const { databaseBytes, dataFree, dataTotal } = METRICS
  const names = [databaseBytes, dataFree, dataTotal].map(({ name }) => name)
  const samples = await shown(server, (now) => names.every((name) => now.some((sample) => sample.name === name)))
  const [database, free, all] = names.map((name) => total(samples, name)) as [number, number, number]
  const { freeBytes, totalBytes } = await readDiskSpace(DATA_DIR)
  // Others write to this disk, too.
  assert.ok(Math.abs(free - freeBytes) < 0.2 * totalBytes && Math.abs(all - totalBytes) < 0.2 * totalBytes)
  const [size] = await server.app.database.sql`select pg_database_size(current_database()) as bytes`
  assert.ok(Math.abs(database - size!.bytes) < 0.5 * size!.bytes)
})

test('proofs are counted by algorithm and result, and timed when they were checked', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const signer = await quickSigner()
  await server.enter('net', signer)
  const peer = await server.l2psPeer()
  const forged = await l2psRegister(signer, 'net', { proof: 'ab'.repeat(64) })
  assert.equal((await peer.answerTo(peer.send(forged))).payload.code, 'INVALID_PROOF')
  const { samples } = await scrape(server)
  const results = ['valid', 'invalid', 'busy'].map((result) =>
    total(samples, METRICS.proofs.name, { algorithm: 'ed25519', result })
  )
  assert.deepEqual(results, [1, 1, 0])
  assert.equal(total(samples, `${METRICS.proofSeconds.name}_count`, { algorithm: 'ed25519' }), 2)
  assert.equal(total(samples, METRICS.proofsUnderWay.name), 0)
})

test('a scrape asks the database nothing', async (t) => {
  const server = await startTestServer(t)
  await speakBothProtocols(server)
  const { app } = server
  const within = app.database.within.bind(app.database)
  const asking = new AsyncLocalStorage<{ queries: number }>()
  app.database.within = (query, ms) => {
    const asker = asking.getStore() // what the server does in the background has none
    if (asker !== undefined) asker.queries += 1
    return within(query, ms)
  }
  const queriesOf = async (url: string) => {
    const asker = { queries: 0 }
    const { statusCode } = await asking.run(asker, async () => await app.inject(url)) // begins when it is awaited
    assert.equal(statusCode, url === '/metrics' ? 200 : 404)
    return asker.queries
  }
  assert.ok((await queriesOf('/audit/no-such-network/checkpoint')) > 0, 'queries are noticed')
  assert.equal(await queriesOf('/metrics'), 0)
})

test('metrics are shown while the database stands still, and the readiness says so', async (t) => {
  const behind = new URL((await createTestDatabase(t)).url)
  const proxy = await startTcpProxy(t, behind.href)
  behind.host = new URL(proxy.url).host
  const server = await startTestServer(t, { DATABASE_URL: behind.href, DATABASE_DEADLINE_MS: 500 })
  await shown(server, (now) => now.some(({ name, value }) => name === METRICS.ready.name && value === 1))
  proxy.freeze()
  const samples = await shown(server, (now) => total(now, METRICS.ready.name) === 0)
  assert.ok(total(samples, METRICS.databaseUnanswered.name) > 0)
})
