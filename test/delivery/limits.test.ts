// What may wait for one recipient is bounded, whether it is connected or not (docs/protocol.md, 1.5).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startAdministered } from '../admin/helpers.ts'
import { wrongQuotas } from '../chaos/database-check.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { keyOf, sendFrame } from '../helpers/l2ps-peer.ts'
import { type Peer, quickIdentity, registerFrame, roundTrip } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const LIMIT = 50
const SETTINGS = { RECIPIENT_QUEUE_MESSAGES: LIMIT, SIGNALING_QUOTA_PER_SENDER: 10 }
const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

async function joinWithAck(server: TestServer, clientId: string, identity: Peer['identity']) {
  const peer = await server.peer()
  peer.send(await registerFrame(clientId, identity, { features: ['ack'] }))
  assert.equal((await peer.next()).type, 'register')
  return peer
}

/** Sends so many, and tells how many were refused. */
async function refusedOf(sender: Peer, count: number): Promise<number> {
  for (let n = 0; n < count; n++) sender.send(send('bob', { n }))
  return (await roundTrip(sender)).filter(({ type }) => type === 'error').length
}

/** A peer has written to another for so long that it is known. */
async function wrote(server: TestServer, sender: string, recipient: string): Promise<void> {
  await server.app.database.sql`
    insert into contact (network, sender, recipient, since)
    values ('signaling', ${sender}, ${recipient}, now() - interval '2 days')`
}

async function waiting(server: TestServer): Promise<number> {
  await server.app.mailboxes.drained()
  const [row] = await server.app.database.sql`select count(*)::int as n from queue_entry`
  return row!.n
}

test('a connected recipient that never acknowledges and reconnects has at most its limit waiting', async (t) => {
  const server = await startTestServer(t, SETTINGS)
  const owner = await quickIdentity()
  const friends = [await server.join('alice'), await server.join('carol')]
  for (const friend of ['alice', 'carol']) await wrote(server, friend, 'bob')
  let refused = 0
  for (let round = 0; round < 4; round++) {
    const bob = await joinWithAck(server, 'bob', owner)
    for (const friend of friends) refused += await refusedOf(friend, 15)
    assert.ok((await waiting(server)) <= LIMIT)
    await bob.close()
    for (const friend of friends) await friend.next('peer_disconnected')
  }
  assert.deepEqual([await waiting(server), refused], [LIMIT, 4 * 30 - LIMIT])
  assert.deepEqual(await wrongQuotas(server.app.database.sql as never), [])
})

test('room is given back by acknowledgements, by expiry and by a purge', async (t) => {
  const clock = { now: Date.now() }
  const server = await startAdministered(t, { ...SETTINGS, QUEUE_TTL_SECONDS: 60 }, { now: () => clock.now })
  const friends = [await server.join('alice'), await server.join('carol')]
  const bob = await joinWithAck(server, 'bob', await quickIdentity())
  for (const friend of ['alice', 'carol']) await wrote(server, friend, 'bob')
  const refused = async (count: number) =>
    (await refusedOf(friends[0]!, Math.ceil(count / 2))) + (await refusedOf(friends[1]!, Math.floor(count / 2)))
  assert.equal(await refused(LIMIT + 5), 5)
  let seq = 0
  for (let n = 0; n < 20; n++) seq = (await bob.next('message')).payload.seq
  bob.send({ type: 'ack', payload: { seq } })
  await roundTrip(bob)
  await server.app.mailboxes.drained()
  assert.equal(await refused(25), 5)
  clock.now += 61_000
  assert.equal(await server.app.mailboxes.expire(), LIMIT)
  assert.equal(await refused(LIMIT), 0)
  await server.ok('DELETE', '/queues/signaling/bob')
  assert.equal(await refused(LIMIT + 1), 1)
})

test('what was sent and not receipted takes places of its sender when the last session ends', async (t) => {
  const server = await startTestServer(t, SETTINGS)
  const owner = await quickIdentity()
  const alice = await server.join('alice')
  const bob = await joinWithAck(server, 'bob', owner)
  assert.equal(await refusedOf(alice, 8), 0)
  bob.terminate()
  await alice.next('peer_disconnected')
  await server.app.mailboxes.drained()
  const { sql } = server.app.database
  const [slots] =
    await sql`select count(*) filter (where slot)::int as slots, max(deliveries) as deliveries from queue_entry`
  assert.deepEqual({ ...slots }, { slots: 8, deliveries: 1 })
  assert.equal(await refusedOf(alice, 5), 3, 'two of ten places are left')
  assert.deepEqual(await wrongQuotas(sql as never), [])
  const again = await server.join('bob', owner)
  for (let n = 0; n < 8; n++) assert.equal((await again.next('message')).payload.message.n, n)
  await server.emptied()
  assert.deepEqual(await wrongQuotas(sql as never), [])
})

test('a server counts what the last one left behind when it was killed', async (t) => {
  const { sql, url } = await createTestDatabase(t)
  const now = Date.now()
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'alice', 'bob', n::text, 1, false, ${now}, ${now + 1_000_000} from generate_series(1, 7) as n`
  const next = await startTestServer(t, { ...SETTINGS, DATABASE_URL: url })
  assert.deepEqual(await wrongQuotas(sql as never), [])
  assert.equal(await refusedOf(await next.join('alice'), 5), 2)
})

test('strangers fill half of the mailbox of a connected recipient; the rest is for those it knows', async (t) => {
  const server = await startTestServer(t, SETTINGS)
  await joinWithAck(server, 'bob', await quickIdentity())
  const [alice, mallory, trent] = [await server.join('alice'), await server.join('mallory'), await server.join('trent')]
  await wrote(server, 'alice', 'bob')
  await wrote(server, 'bob', 'trent')
  assert.equal(await refusedOf(mallory, LIMIT), LIMIT / 2)
  assert.equal(await refusedOf(await server.join('mallory-2'), 3), 3)
  assert.deepEqual([await refusedOf(alice, 5), await refusedOf(mallory, 5), await refusedOf(trent, 5)], [0, 5, 0])
  assert.equal(await refusedOf(alice, LIMIT), LIMIT / 2 + 10)
  assert.equal(await waiting(server), LIMIT)
})

/** What one sender may fill of a mailbox. */
const SHARE = Math.ceil(0.75 * LIMIT)

test('one friend does not fill the mailbox of a connected recipient: others still get in, and it too when there is room', async (t) => {
  const server = await startTestServer(t, { ...SETTINGS, MAX_FRAMES_IN_FLIGHT: 1 }) // what is being written is not counted
  const bob = await joinWithAck(server, 'bob', await quickIdentity())
  const [alice, carol] = [await server.join('alice'), await server.join('carol')]
  for (const friend of ['alice', 'carol']) await wrote(server, friend, 'bob')
  assert.equal(await refusedOf(alice, 2 * LIMIT), 2 * LIMIT - SHARE)
  assert.equal(await refusedOf(carol, LIMIT), SHARE)
  assert.deepEqual([await refusedOf(alice, 1), await waiting(server)], [1, LIMIT])
  let seq = 0
  for (let n = 0; n < SHARE; n++) seq = (await bob.next('message')).payload.seq
  bob.send({ type: 'ack', payload: { seq } })
  await roundTrip(bob)
  await until('they have left', async () => (await waiting(server)) === LIMIT - SHARE)
  assert.equal(await refusedOf(alice, LIMIT / 2), 0)
})

test('messages of a pair keep their order while it is asked whether the sender is known', async (t) => {
  const server = await startTestServer(t, { RECIPIENT_QUEUE_BYTES: 172_000 })
  const bob = await joinWithAck(server, 'bob', await quickIdentity())
  const alice = await server.join('alice')
  await wrote(server, 'alice', 'bob')
  const large = 'x'.repeat(5_000) // after 16 of these a small one would still fit
  for (let n = 0; n < LIMIT; n++) alice.send(send('bob', n % 2 === 0 ? { n, large } : { n }))
  for (let n = 0; n < LIMIT; n++) assert.equal((await bob.next('message')).payload.message.n, n)
})

/** Was a message stored for a peer that is away, or refused as the documents say? */
async function isQueued(sender: Peer, target: string, body: unknown): Promise<boolean> {
  sender.send(send(target, body))
  const [answer] = await roundTrip(sender)
  if (answer?.type === 'message_queued') return true
  assert.equal(answer?.payload.details, 'The server is busy. Please try again.')
  return false
}

test('what waits in all mailboxes of a network is bounded, and other networks do not notice', async (t) => {
  const server = await startTestServer(t, { NETWORK_WAITING_MESSAGES: 3 })
  const [alice, carol] = [await server.join('alice'), await server.join('carol')]
  for (const target of ['bob', 'dora', 'bob']) assert.equal(await isQueued(alice, target, 1), true)
  assert.equal(await isQueued(carol, 'emil', 1), false)
  await server.addNetworks('net')
  const [other, recipient] = [await server.enter('net'), await server.enter('net')]
  for (let n = 0; n < 3; n++) {
    other.send(sendFrame(keyOf(recipient.signer)))
    await other.next('message_sent')
  }
  const bob = await server.join('bob')
  for (let n = 0; n < 2; n++) await bob.next('message')
  await until('there is room again', () => isQueued(carol, 'emil', 1))
})

test('the megabytes of a network are bounded, with what the last server left behind', async (t) => {
  const settings = { NETWORK_WAITING_MEGABYTES: 1 }
  const first = await startTestServer(t, settings)
  const owner = await quickIdentity()
  const alice = await first.join('alice', owner)
  const body = 'x'.repeat(240_000)
  for (const target of ['bob', 'carol', 'bob', 'carol']) assert.equal(await isQueued(alice, target, body), true)
  assert.equal(await isQueued(alice, 'dora', body), false)
  assert.equal(await isQueued(alice, 'dora', 'a small one'), true)
  await first.close()
  const second = await startTestServer(t, { ...settings, DATABASE_URL: first.databaseUrl })
  const again = await second.join('alice', owner)
  await until('what waits is counted', async () => !(await isQueued(again, 'emil', body)))
})
