import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestDatabase } from '../helpers/database.ts'
import { historyFrame, type L2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

type Page = { messages: { messageHash: string; timestamp: number; from: string; status: string }[]; hasMore: boolean }

/** What a message that was received shows: until its record has its place, and from then on. */
const RECEIVED = /^(delivered|l2ps_(pending|batched|confirmed))$/

async function page(peer: L2psPeer, peerKey: string, changes: object = {}): Promise<Page> {
  const reply = await peer.answerTo(peer.send(await historyFrame(peer.signer, peerKey, changes)))
  assert.equal(reply.type, 'history_response', JSON.stringify(reply))
  return reply.payload
}

async function everything(peer: L2psPeer, peerKey: string, limit: number) {
  const found: Page['messages'] = []
  let before: number | undefined
  for (;;) {
    const { messages, hasMore } = await page(peer, peerKey, { limit, ...(before === undefined ? {} : { before }) })
    found.push(...messages)
    if (!hasMore) return found
    before = messages.at(-1)!.timestamp
  }
}

test('history has both directions, newest first, with what became of each message', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  await alice.next('peer_joined')
  const encrypted = { ciphertext: 'QUJD', nonce: 'AAAA', extra: { deep: [1] } }
  await alice.answerTo(alice.send('send', { to: bob.key, encrypted, messageHash: 'first' }))
  await bob.answerTo(bob.send(sendFrame(alice.key, 'AAAA', 'second')))
  await server.emptied()
  await bob.close()
  await alice.next('peer_left')
  await alice.answerTo(alice.send(sendFrame(bob.key, 'AAAA', 'third')))
  const { messages, hasMore } = await page(alice, bob.key.toUpperCase())
  assert.equal(hasMore, false)
  assert.deepEqual(
    messages.map((m) => [m.messageHash, m.from, m.status.replace(RECEIVED, 'received')]),
    [
      ['third', alice.key, 'queued'],
      ['second', bob.key, 'received'],
      ['first', alice.key, 'received']
    ]
  )
  const [first] = messages.slice(-1) as unknown as Record<string, unknown>[]
  assert.deepEqual(first!.encrypted, encrypted)
  assert.deepEqual([first!.to, first!.l2psUid], [bob.key, 'net'])
  assert.match(first!.id as string, /^[0-9a-f-]{36}$/)
})

test('paging finds every message exactly once, also when hundreds share a millisecond', async (t) => {
  const standing = Date.now()
  const server = await startTestServer(t, { L2PS_QUOTA_PER_SENDER: 1_000 }, { now: () => standing })
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  const ids = Array.from({ length: 500 }, (_, n) =>
    (n % 2 ? alice : bob).send(sendFrame(n % 2 ? bob.key : alice.key, 'AAAA', `h${n}`))
  )
  for (const [n, id] of ids.entries()) await (n % 2 ? alice : bob).answerTo(id)
  for (const limit of [7, 10, 50, 200]) {
    const found = await everything(alice, bob.key, limit)
    assert.equal(found.length, 500)
    assert.equal(new Set(found.map((m) => m.messageHash)).size, 500)
    assert.ok(found.every((m, n) => n === 0 || m.timestamp < found[n - 1]!.timestamp))
  }
})

test('a page holds 50 unless asked for 1 to 200, and at most 4 MB', async (t) => {
  const server = await startTestServer(t, { L2PS_QUOTA_PER_SENDER: 1_000 })
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const peer = '11'.repeat(32)
  const ids = Array.from({ length: 60 }, () => alice.send(sendFrame(peer, 'x'.repeat(131_072))))
  for (const id of ids) assert.equal((await alice.answerTo(id)).type, 'message_queued')
  assert.equal((await page(alice, peer, { limit: 5 })).messages.length, 5)
  const { messages, hasMore } = await page(alice, peer, { limit: 200 })
  assert.ok(messages.length < 33 && messages.length > 28, `${messages.length} messages`)
  assert.equal(hasMore, true)
  assert.equal((await everything(alice, peer, 200)).length, 60)
  for (const wrong of [
    { limit: 0 },
    { limit: 201 },
    { limit: -1 },
    { limit: '5' },
    { limit: 1.5 },
    { before: -1 },
    { before: 'x' }
  ]) {
    const reply = await alice.answerTo(alice.send(await historyFrame(alice.signer, peer, wrong)))
    assert.equal(reply.payload.code, 'INVALID_MESSAGE', JSON.stringify(wrong))
  }
})

test('history goes to whoever proves the registered key, and a proof opens a page once', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const [alice, bob] = [await server.enter('net'), await server.enter('net')]
  await alice.next('peer_joined')
  const frame = await historyFrame(alice.signer, bob.key)
  assert.equal((await alice.answerTo(alice.send(frame))).type, 'history_response')
  const again = await alice.answerTo(alice.send(frame))
  assert.equal(again.payload.message, 'This proof has opened this page already; sign a new one')
  const next = { ...frame, payload: { ...frame.payload, before: 1 } }
  assert.equal((await alice.answerTo(alice.send(next))).type, 'history_response')
  const stolen = await bob.answerTo(bob.send(frame))
  assert.equal(stolen.payload.code, 'INVALID_PROOF')
  const missing = await alice.answerTo(alice.send('history', { peerKey: bob.key }))
  assert.deepEqual(missing.payload, { code: 'INVALID_MESSAGE', message: 'Missing peerKey or proof' })
})

test('two relays write to one conversation, and its history has each message once', async (t) => {
  const settings = { CLUSTER_NAME: 'test', DATABASE_URL: (await createTestDatabase(t)).url }
  const first = await startTestServer(t, settings)
  await first.addNetworks('net')
  const second = await startTestServer(t, settings)
  const alice = await first.enter('net')
  const elsewhere = await second.enter('net', alice.signer)
  const peer = '22'.repeat(32)
  const ids = Array.from({ length: 80 }, () => [alice.send(sendFrame(peer)), elsewhere.send(sendFrame(peer))] as const)
  for (const [here, there] of ids) {
    assert.equal((await alice.answerTo(here)).type, 'message_queued')
    assert.equal((await elsewhere.answerTo(there)).type, 'message_queued')
  }
  assert.equal((await everything(alice, peer, 50)).length, 160)
})

test('an expired message shows as failed, an old one is forgotten', async (t) => {
  let now = Date.now()
  const server = await startTestServer(t, { QUEUE_TTL_SECONDS: 60, PROOF_WINDOW_SECONDS: 100_000 }, { now: () => now })
  await server.addNetworks('net')
  const alice = await server.enter('net')
  const peer = '33'.repeat(32)
  await alice.answerTo(alice.send(sendFrame(peer, 'AAAA', 'the one')))
  now += 61_000
  assert.equal(await server.app.mailboxes.expire(), 1)
  assert.deepEqual(
    (await page(alice, peer)).messages.map((m) => m.status),
    ['failed']
  )
  const again = await alice.answerTo(alice.send(sendFrame(peer, 'AAAA', 'the one')))
  assert.equal(again.payload.code, 'L2PS_SUBMIT_FAILED', 'a retry is not told that it went well')
  await server.app.mailboxes.forget(120_000)
  assert.equal((await page(alice, peer)).messages.length, 1)
  const { sql } = server.app.database
  const isRecorded = async () => (await sql`select from audit_inbox where message_seqs is not null`).count === 0
  await until('it stays until it has its record', isRecorded, 10_000)
  await server.app.mailboxes.forget(60_000)
  assert.equal((await page(alice, peer)).messages.length, 0)
})
