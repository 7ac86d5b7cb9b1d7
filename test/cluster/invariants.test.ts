// The invariants of a cluster, a test each (docs/architecture.md, "Several relays").
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bus } from '../../src/cluster/bus.ts'
import { decodeHandOver, type HandedOver } from '../../src/cluster/hand-over.ts'
import { HandOverNumbers } from '../../src/cluster/hand-over-numbers.ts'
import { LEASE_MS, Lease } from '../../src/cluster/lease.ts'
import { Missed } from '../../src/cluster/missed.ts'
import { Outbox } from '../../src/cluster/outbox.ts'
import { type AnySql, openDatabase } from '../../src/database/database.ts'
import { insertEntries, type QueueEntry } from '../../src/store/queue-entry.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'
import { faultyBus } from './faulty-bus.ts'
import { BUSES, onBus, startCluster } from './relays.ts'

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

for (const bus of BUSES) {
  test(`1: losing all hand-overs loses nothing, and keeps the order (${bus})`, onBus(bus), async (t) => {
    const faults = { lost: 1, repeated: 0, reordered: 0 }
    const { relays } = await startCluster(t, 2, bus, {}, { throughBus: faultyBus(faults, Math.random) })
    const alice = await relays[0]!.join('alice')
    const bob = await relays[1]!.join('bob')
    for (let n = 0; n < 50; n++) alice.send(send('bob', `m${n}`))
    for (let n = 0; n < 50; n++) assert.equal((await bob.next('message')).payload.message, `m${n}`)
    assert.ok(relays[1]!.app.cluster!.missed.misses > 1, 'the misses were noticed')
    await relays[0]!.emptied()
    await bob.nothingMore()
  })
}

test('1: a sender that moved, left and came back overtakes nothing that it sent before', async (t) => {
  const mute = (bus: Bus): Bus =>
    new Proxy(bus, {
      get: (target, key) => {
        if (key === 'publish' || key === 'broadcast') return () => {}
        const value = Reflect.get(target, key, target) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  const { relays } = await startCluster(t, 2, 'postgres', {}, { throughBus: mute })
  const identity = await quickIdentity()
  const bob = await relays[1]!.join('bob')
  const first = await relays[0]!.join('alice', identity)
  first.send(send('bob', 'first'))
  await first.nothingMore()
  await first.close()
  const second = await relays[1]!.join('alice', identity)
  await second.close()
  const third = await relays[1]!.join('alice', identity)
  third.send(send('bob', 'second'))
  for (const text of ['first', 'second']) assert.equal((await bob.next('message')).payload.message, text)
})

test('2: a client id has at most one place, by the database', async (t) => {
  const { sql } = await createTestDatabase(t)
  const enter = (network: string) => sql`
    insert into session (network, peer, relay, sessions) values (${network}, 'alice', ${randomUUID()}::uuid, 1)`
  await enter('signaling')
  await assert.rejects(enter('signaling'), /session_one_idx/)
  for (const _ of [1, 2]) await enter('an L2PS network, where a key may be in several places')
})

test('3: who lost its place is sent nothing more, whatever its socket says', async (t) => {
  const { relays } = await startCluster(t, 2)
  const alice = await relays[0]!.join('alice')
  const bob = await relays[1]!.join('bob')
  const { sql } = relays[0]!.app.database
  // As another relay does it that got no answer from this one.
  await sql`delete from session where peer = 'bob'`
  await sql`insert into session (network, peer, relay, sessions) select 'signaling', 'bob', id, 1 from relay where name = 'relay-1'`
  for (let n = 0; n < 5; n++) alice.send(send('bob', `m${n}`))
  const waiting = async () =>
    (await sql`select count(*)::int as waiting from queue_entry where recipient = 'bob'`)[0]!.waiting
  await until('all are stored', async () => (await waiting()) === 5)
  relays[1]!.app.cluster!.missed.missed()
  await until('the look is done', () => !relays[1]!.app.cluster!.missed.owesLook)
  for (const { delivery } of relays[1]!.app.presence.sessions('signaling', 'bob')) delivery.rereadAll()
  await relays[1]!.app.cluster!.places.compare() // the read asks for that, too: it found no place
  assert.equal((await bob.closed).code, 4000)
  assert.deepEqual([bob.inbox, await waiting()], [[], 5])
})

test('3: a place that was taken again unheard is no empty mailbox: nothing overtakes what waits, and it is read', async (t) => {
  const { relays } = await startCluster(t, 1)
  const [relay] = relays
  const bob = await relay!.join('bob')
  const { sql } = relay!.app.database
  const [member] = relay!.app.presence.sessions('signaling', 'bob')
  // As after a crash of Postgres, while the answer to the second of two entries is on its way.
  await sql`update session set epoch = nextval('session_epoch') where peer = 'bob'`
  await storeFor('bob', sql, 'first')
  member!.delivery.rereadAll()
  await delay(200) // the page comes
  member!.delivery.offer(await storeFor('bob', sql, 'second'))
  for (const text of ['first', 'second']) assert.equal((await bob.next('message')).payload.message, text)
})

/** A message to a client id, as another relay commits it. */
async function storeFor(recipient: string, sql: AnySql, body: string): Promise<QueueEntry> {
  const sealed = JSON.stringify(body)
  const entry = {
    ...{ seq: 0, network: 'signaling', sender: 'alice', recipient, digest: null, sealed, bytes: sealed.length },
    ...{ keyId: null, slot: false, acceptedAt: Date.now(), deliveries: 0 }
  }
  const [stored] = await insertEntries(sql, [entry], { isAudited: false, ttlMs: 60_000 })
  return stored as QueueEntry
}

test('4: a mailbox is a set: what was committed unheard, before what was sent, is sent by the next look', async (t) => {
  const { relays } = await startCluster(t, 1)
  const bob = await relays[0]!.join('bob')
  const { sql } = relays[0]!.app.database
  const [row] = await sql<{ seq: number }[]>`select nextval('entry_seq')::int as seq`
  const alice = await relays[0]!.join('alice')
  alice.send(send('bob', 'first to come'))
  assert.equal((await bob.next('message')).payload.message, 'first to come')
  await sql`
    insert into queue_entry (seq, network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    values (${row!.seq}, 'signaling', 'alice', 'bob', '"late"', 6, false, ${Date.now()}, ${Date.now() + 60_000})`
  relays[0]!.app.cluster!.missed.missed()
  assert.equal((await bob.next('message')).payload.message, 'late')
})

test('4: what was committed late goes out before what its sender sent after it, though other messages went out', async (t) => {
  const { relays } = await startCluster(t, 1)
  const bob = await relays[0]!.join('bob')
  const { sql } = relays[0]!.app.database
  const [member] = relays[0]!.app.presence.sessions('signaling', 'bob')
  await sql.begin(async (late) => {
    await storeFor('bob', late, 'late')
    member!.delivery.offer(await storeFor('bob', sql, 'of another relay'))
    assert.equal((await bob.next('message')).payload.message, 'of another relay')
  })
  const { seq } = await storeFor('bob', sql, 'after the late one')
  member!.delivery.reread(seq)
  for (const text of ['late', 'after the late one']) assert.equal((await bob.next('message')).payload.message, text)
})

test('4: a place is settled when it was given away so long ago that its message is committed, or never will be', async (t) => {
  const { url } = await createTestDatabase(t)
  const database = await openDatabase({ url, dataDir: '', poolSize: 2, deadlineMs: 1_000 }, silentLog)
  t.after(() => database.close())
  const relay = { id: randomUUID(), cluster: 'c', name: 'n', version: 'v', listenerPid: null }
  const lease = new Lease({ database, relay: () => relay, lapsed: async () => {} })
  await lease.renew()
  const later = performance.now() + 3_000
  assert.equal(lease.settledTo(later), 0, 'the first place of all is not given away')
  const { seq } = await storeFor('bob', database.sql, 'first')
  await lease.renew()
  assert.ok(lease.settledTo(performance.now() + 2_900) < seq)
  assert.equal(lease.settledTo(performance.now() + 3_000), seq)
  await database.sql`delete from relay` // as after a crash, which may have forgotten what was given away
  await lease.renew()
  assert.equal(lease.settledTo(performance.now()), 0)
})

test('5: after a miss, a look that began before it does not count', async () => {
  let done: (() => void) | undefined
  let looks = 0
  const look = () => {
    looks += 1
    return new Promise<void>((resolve) => {
      done = resolve
    })
  }
  const missed = new Missed({ look, log: silentLog })
  missed.missed()
  assert.ok(missed.owesLook)
  missed.missed() // while it looks
  done!()
  await until('it looks once more', () => looks === 2)
  assert.ok(missed.owesLook)
  done!()
  await until('it owes nothing', () => !missed.owesLook)
  assert.equal(looks, 2)
})

test('6: a lease lapses by our own clock, from the time at which the last confirmed renewal was asked for', async (t) => {
  const { url } = await createTestDatabase(t)
  const database = await openDatabase({ url, dataDir: '', poolSize: 2, deadlineMs: 5_000 }, silentLog)
  t.after(() => database.close())
  let lapses = 0
  const relay = { id: randomUUID(), cluster: 'c', name: 'n', version: 'v', listenerPid: null }
  const lease = new Lease({
    database,
    relay: () => relay,
    lapsed: async () => {
      lapses += 1
    }
  })
  await lease.renew()
  assert.ok(lease.holds)
  const now = performance.now
  t.after(() => {
    performance.now = now
  })
  // A renewal that Postgres carried out, whose answer was lost: for us it was not.
  performance.now = () => now.call(performance) + LEASE_MS + 1
  assert.ok(!lease.holds)
  await lease.renew()
  assert.equal(lapses, 1)
  assert.ok(lease.holds)
  await database.sql`delete from relay`
  await lease.renew()
  assert.equal(lapses, 2, 'a database that has forgotten the relay has forgotten its places, too')
})

test('7: while the bus is away nothing is published, and the number grows all the same', async () => {
  const published: Buffer[] = []
  const bus = {
    isConnected: false,
    carriesBodies: true,
    maxBytes: 1_000_000,
    publish: (_to: string, m: Buffer) => published.push(m)
  }
  const numbers = new HandOverNumbers()
  const outbox = new Outbox({ relay: 'us', numbers, bus: () => bus as unknown as Bus })
  const item: HandedOver = { network: 'n', recipient: 'r', epoch: 1, seq: 1, isShared: false, entry: undefined }
  outbox.add('them', item)
  await delay(1)
  bus.isConnected = true
  outbox.add('them', item)
  await delay(1)
  assert.deepEqual(
    published.map((message) => decodeHandOver(message)?.number),
    [2]
  )
  const theirs = new HandOverNumbers()
  assert.equal(theirs.received('us', 2, 0), true, 'so the other relay notices')
  assert.equal(theirs.beat('us', 2, 0), false)
  assert.equal(theirs.beat('us', 3, 0), true)
})

test('8: a relay that is alone has no lease, no place and no bus, and its lock costs no statement', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  await server.join('bob')
  alice.send(send('bob', 'x'))
  await server.emptied()
  const { sql } = server.app.database
  const [rows] = await sql`
    select (select count(*) from relay)::int as relays, (select count(*) from session)::int as sessions,
      (select count(*) from session_receipt)::int as receipts`
  assert.deepEqual({ ...rows }, { relays: 0, sessions: 0, receipts: 0 })
  const lockQuery = () => sql<{ at: Date; query: string }[]>`
    select query_start as at, query from pg_stat_activity join pg_locks using (pid)
    where datname = current_database() and locktype = 'advisory' and granted and query like '%pg_try_advisory_lock%'`
  const before = await lockQuery()
  assert.equal(before.length, 1)
  await delay(1_500)
  assert.deepEqual(await lockQuery(), before)
})

test('a relay that counted as dead for a while goes on counting, so what is lost after that is missed, too', () => {
  const [ours, theirs] = [new HandOverNumbers(), new HandOverNumbers()]
  for (let n = 1; n <= 50; n++) assert.equal(theirs.received('us', ours.next('them'), 0), false)
  ours.prune(new Set()) // their lease has lapsed
  assert.equal(ours.next('them'), 51) // is lost
  assert.equal(theirs.received('us', ours.next('them'), 0), true)
  assert.deepEqual(ours.sent(['them']), { them: 52 })
})
