import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { parseRecord } from '../../src/audit/record.ts'
import type { Sql } from '../../src/database/database.ts'
import { type Rollup, type RollupStatus, readEntries, rollupColumns, rollupJoin } from '../../src/store/audit-entry.ts'
import { insertAuditEvents, takeAuditEvents } from '../../src/store/audit-inbox.ts'
import { findLog, holdSequencer } from '../../src/store/audit-log.ts'
import { conversationId, deleteOldMessages, insertMessages } from '../../src/store/message.ts'
import { insertEntries } from '../../src/store/queue-entry.ts'
import { openNote, parseCheckpoint } from '../../src/tlog/note.ts'
import { leafHash, rootOf } from '../../src/tlog/tree.ts'
import { until } from '../helpers/wait.ts'
import { message, messages, openTestTrail, type TestTrail } from './helpers.ts'

async function recordsOf(trail: TestTrail, network = 'signaling') {
  const log = await findLog(trail.sql, network)
  const entries = await readEntries(trail.sql, log!.id, 0, log!.size)
  return {
    log: log!,
    entries: entries.map(({ entry }) => entry),
    records: entries.map(({ entry }) => parseRecord(entry))
  }
}

test('events become records in the order of their acceptance, under a signed checkpoint', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(1_000))
  const { log, entries, records } = await recordsOf(trail)
  assert.equal(log.size, 1_000)
  assert.equal(log.publishedSize, 1_000)
  for (const [index, record] of records.entries()) {
    assert(record?.type === 'instantMessaging')
    const { acceptedAt, sender, recipient, digest, bytes } = message(index)
    const { salt, ...rest } = record
    assert.match(salt, /^[0-9a-f]{32}$/)
    assert.deepEqual(rest, {
      ...{ version: 1, type: 'instantMessaging', network: 'signaling', from: sender, to: recipient, digest },
      ...{ sizeBytes: bytes, acceptedAtMs: acceptedAt, nonce: Math.floor(index / 7) + 1 }
    })
  }
  const checkpoint = parseCheckpoint(openNote(log.publishedNote!, nodeVerifier(trail.node)))
  assert.equal(checkpoint.origin, 'relay.example/logs/signaling')
  assert.equal(checkpoint.size, 1_000)
  assert.deepEqual(Buffer.from(checkpoint.root), Buffer.from(rootOf(entries.map(leafHash))))
  assert.equal(await readFile(join(trail.dataDir, 'audit/signaling.checkpoint'), 'utf8'), log.publishedNote)
})

test('every network has a log of its own', async (t) => {
  const trail = await openTestTrail(t)
  const names = ['signaling', 'demo-net', 'über/net +1', 'x'.repeat(128)]
  await trail.record(messages(40).map((event, index) => ({ ...event, network: names[index % 4]! })))
  for (const name of names) {
    const { log, records } = await recordsOf(trail, name)
    assert.equal(log.publishedSize, 10)
    assert(records.every((record) => decodeURIComponent(record!.network) === name))
  }
  const { log } = await recordsOf(trail, 'über/net +1')
  assert.equal(parseCheckpoint(log.publishedNote!).origin, 'relay.example/logs/%C3%BCber%2Fnet%20%2B1')
})

test('messages of several networks that are stored at once have each a salt of their own', async (t) => {
  const trail = await openTestTrail(t)
  await keepMessages(trail, 9, (place) => `net-${place % 3}`)
  await trail.settle()
  const salts = new Set<string>()
  for (const network of ['net-0', 'net-1', 'net-2']) {
    const { records } = await recordsOf(trail, network)
    assert.equal(records.length, 3)
    for (const record of records) salts.add((record as { salt: string }).salt)
  }
  assert.equal(salts.size, 9)
})

const STORED = { isAudited: true, ttlMs: 10_000 }

test('messages that history does not keep are recorded as they were given', async (t) => {
  const trail = await openTestTrail(t)
  const bodies = ['"a"', '"\\n"', '"ü"']
  const entries = bodies.map((sealed, place) => ({
    ...{ seq: 0, network: 'signaling', sender: `al"ice\n${place}`, recipient: 'bob', digest: null, sealed },
    ...{ bytes: Buffer.byteLength(sealed), keyId: null, slot: false, acceptedAt: place, deliveries: 0 }
  }))
  await insertEntries(trail.sql, entries, STORED)
  await trail.settle()
  const { records } = await recordsOf(trail)
  const facts = records.map((record) => {
    assert(record?.type === 'instantMessaging')
    const { from, to, digest, sizeBytes, acceptedAtMs } = record
    return [from, to, digest, sizeBytes, acceptedAtMs]
  })
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
  assert.deepEqual(
    facts,
    bodies.map((body, place) => [`al"ice%0A${place}`, 'bob', sha256(body), Buffer.byteLength(body), place])
  )
  await assert.rejects(insertEntries(trail.sql, [entries[0]!, { ...entries[1]!, network: 'net' }], STORED), RangeError)
})

test('however many are stored at once, the sequencer can take them a few at a time, in their order', async (t) => {
  const trail = await openTestTrail(t)
  const entries = Array.from({ length: 300 }, (_, place) => ({
    ...{ seq: 0, network: 'signaling', sender: `s${place}`, recipient: 'bob', digest: null, sealed: '"x"', bytes: 3 },
    ...{ keyId: null, slot: false, acceptedAt: place, deliveries: 0 }
  }))
  await insertEntries(trail.sql, entries, STORED)
  await keepMessages(trail, 300, () => 'net')
  const batches: (string | number | null)[][] = []
  for (let left = 600; left > 0; left -= batches.at(-1)!.length) {
    const batch = await trail.sql.begin((tx) => takeAuditEvents(tx, 100, []))
    batches.push(batch.map(({ network, sender, digest }) => (network === 'net' ? digest : sender)))
  }
  assert.deepEqual(
    batches.map((batch) => batch.length),
    [128, 128, 172, 128, 44]
  )
  assert.deepEqual(batches.flat(), [
    ...entries.map(({ sender }) => sender),
    ...Array.from({ length: 300 }, (_, place) => `digest-${place}`)
  ])
})

test('key changes, released names and purges are records of their own shape', async (t) => {
  const trail = await openTestTrail(t)
  const common = { network: 'signaling', acceptedAt: 5 }
  await trail.record([
    { ...common, kind: 'message', sender: 'zoë', recipient: 'b%c', digest: 'd\n"1', bytes: 3 },
    { ...common, kind: 'key-change', sender: 'zoë', digest: 'key2' },
    { ...common, kind: 'identity-release', sender: 'zoë' },
    { ...common, kind: 'purge', recipient: 'b', sender: 'a', entries: 2, bytes: 9 },
    { ...common, kind: 'purge', recipient: 'b', entries: 0, bytes: 0 }
  ])
  const { records } = await recordsOf(trail)
  const shapes = records.map((record) => ({ ...record, salt: 'salt' }))
  const always = { version: 1, network: 'signaling', acceptedAtMs: 5, salt: 'salt' }
  const first = { from: 'zo%C3%AB', to: 'b%25c', digest: 'd%0A"1', sizeBytes: 3, nonce: 1 }
  assert.deepEqual(shapes, [
    { ...always, ...first, type: 'instantMessaging' },
    { ...always, type: 'keyChange', from: 'zo%C3%AB', digest: 'key2', nonce: 2 },
    { ...always, type: 'identityRelease', peer: 'zo%C3%AB' },
    { ...always, type: 'purge', to: 'b', from: 'a', entries: 2, sizeBytes: 9 },
    { ...always, type: 'purge', to: 'b', entries: 0, sizeBytes: 0 }
  ])
})

test('the longest ids there can be still make a record', async (t) => {
  const trail = await openTestTrail(t)
  const long = (length: number) => '\u{10FFFF}'.repeat(length)
  await trail.record([message(1, { network: long(128), sender: long(256), recipient: long(256), digest: long(512) })])
  assert.equal((await recordsOf(trail, long(128))).records[0]?.type, 'instantMessaging')
})

test('ids the database could not even store make a record, and ids that are too long make none', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record([message(1, { sender: 'a\u0000b', recipient: '\ud800' }), message(2, { sender: 'a\u0000b' })])
  const { records } = await recordsOf(trail)
  assert.deepEqual(
    records.map((record) => record?.type === 'instantMessaging' && [record.from, record.to, record.nonce]),
    [
      ['a%00b', '%EF%BF%BD', 1],
      ['a%00b', 'recipient-2', 2]
    ]
  )
  await assert.rejects(insertAuditEvents(trail.sql, [message(1, { digest: 'x'.repeat(2_049) })]), RangeError)
})

test('an event whose transaction fails leaves no record', async (t) => {
  const trail = await openTestTrail(t)
  const failing = trail.sql.begin(async (tx) => {
    await insertAuditEvents(tx, messages(3))
    throw new Error('the message was not stored')
  })
  await assert.rejects(failing, /not stored/)
  await trail.record([message(9)])
  assert.equal((await recordsOf(trail)).log.size, 1)
})

test('no peer writes into the log of checkpoints', async (t) => {
  const trail = await openTestTrail(t)
  await assert.rejects(
    insertAuditEvents(trail.sql, [message(1, { network: 'anchors' })]),
    /no network may be called anchors/
  )
})

/** The rollup of messages by their seq. */
async function rollupOf(sql: Sql, messageSeqs: readonly number[]): Promise<Map<number, Rollup>> {
  const rows = await sql<{ seq: number; rollup: RollupStatus; txHash: string | null }[]>`
    select m.seq, ${rollupColumns(sql)}
    from unnest(${messageSeqs as number[]}::bigint[]) as m (seq) ${rollupJoin(sql)}`
  return new Map(rows.map(({ seq, rollup, txHash }) => [seq, { status: rollup, txHash }]))
}

test('a message waits for its place, is then batched, then confirmed', async (t) => {
  const trail = await openTestTrail(t)
  const [first = 0, second = 0] = await keepMessages(trail, 2)
  const waiting = { status: 'none', txHash: null }
  assert.deepEqual(
    await rollupOf(trail.sql, [first, second]),
    new Map([
      [first, waiting],
      [second, waiting]
    ])
  )
  await trail.settle()
  const { entries } = await recordsOf(trail)
  const [row] = await trail.sql<{ hash: string }[]>`select encode(sha256(${entries[0]!}::bytea), 'hex') as hash`
  assert.deepEqual((await rollupOf(trail.sql, [first])).get(first), { status: 'batched', txHash: row!.hash })
  await Promise.all([trail.outbox.round(), untilAnchored(trail)])
  assert.deepEqual((await rollupOf(trail.sql, [first])).get(first), { status: 'confirmed', txHash: row!.hash })
})

test('history keeps a message until its record is made', async (t) => {
  const trail = await openTestTrail(t)
  await keepMessages(trail, 3)
  const now = Date.now() + 1_000
  await trail.sql`delete from queue_entry`
  assert.equal((await deleteOldMessages(trail.sql, now, 0, 100))?.deleted, 0)
  await trail.settle()
  assert.equal((await recordsOf(trail)).records.length, 3)
  assert.equal((await deleteOldMessages(trail.sql, now, 0, 100))?.deleted, 3)
})

test('a message that was deleted by hand before its record is on record as lost, and the others go on', async (t) => {
  const trail = await openTestTrail(t)
  const [, second] = await keepMessages(trail, 3)
  await keepMessages(trail, 2, () => 'demo-net')
  await trail.sql`delete from message where seq = ${second!}`
  await trail.settle()
  const types = (await recordsOf(trail)).records.map((record) => record?.type)
  assert.deepEqual(types, ['instantMessaging', 'messageLost', 'instantMessaging'])
  assert.equal((await findLog(trail.sql, 'demo-net'))!.publishedSize, 2)
})

/** Messages between two peers that go into history. Returns their numbers. */
async function keepMessages({ sql }: TestTrail, count: number, networkOf = (_place: number) => 'signaling') {
  const now = Date.now()
  const kept = Array.from({ length: count }, (_, place) => ({
    entry: {
      ...{ seq: 0, network: networkOf(place), sender: 'alice', recipient: 'bob', digest: `digest-${place}`, bytes: 3 },
      ...{ sealed: `"${place}"`, keyId: null, slot: false, acceptedAt: now + place, deliveries: 0 }
    },
    conversation: conversationId(networkOf(place), 'alice', 'bob'),
    sentAt: now + place
  }))
  return [...(await insertMessages(sql, kept, STORED, true)).values()]
}

const untilAnchored = (trail: TestTrail) =>
  until('all is anchored', async () => {
    await trail.settle()
    const log = await findLog(trail.sql, 'signaling')
    return log?.anchoredSize === log?.size
  })

test('two sequencers at once give every event one place', async (t) => {
  const first = await openTestTrail(t, { batchEvents: 7 })
  const second = await openTestTrail(t, {
    url: first.url,
    batchEvents: 5,
    nodeKeyFile: join(first.dataDir, 'node.key')
  })
  const rounds = async (trail: TestTrail) => {
    for (let round = 0; round < 60; round++) await trail.sequencer.round()
  }
  const writing = async () => {
    for (let part = 0; part < 30; part++) {
      await insertAuditEvents(
        first.sql,
        messages(10).map((event) => ({ ...event, acceptedAt: part * 10 + event.bytes }))
      )
    }
  }
  await Promise.all([rounds(first), rounds(second), writing()])
  await first.settle()
  await second.settle()
  const { log, records } = await recordsOf(first)
  assert.equal(log.size, 300)
  assert.equal(log.publishedSize, 300)
  const nonces = new Map<string, number>()
  for (const record of records) {
    assert(record?.type === 'instantMessaging')
    assert.equal(record.nonce, (nonces.get(record.from) ?? 0) + 1)
    nonces.set(record.from, record.nonce)
  }
  assert.deepEqual([first.publisher.halted.size, second.publisher.halted.size], [0, 0])
})

test('while another server adds to the logs nobody else does; one that loses its connection gives the turn back', async (t) => {
  const trail = await openTestTrail(t)
  await insertAuditEvents(trail.sql, messages(3))
  let isHeld = () => {}
  const held = new Promise<void>((resolve) => (isHeld = resolve))
  const holding = trail.sql.begin(async (tx) => {
    assert(await holdSequencer(tx))
    await takeAuditEvents(tx, 2, [])
    isHeld()
    await tx`select pg_sleep(60)`
  })
  const gone = assert.rejects(holding)
  await held
  await trail.settle()
  assert.equal(await findLog(trail.sql, 'signaling'), undefined)
  await trail.sql`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()
    and datname = current_database()`
  await gone
  await trail.settle()
  assert.equal((await recordsOf(trail)).log.publishedSize, 3)
})
