import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { seal } from '../../client/src/sealed.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { quickIdentity, type ReceivedFrame, roundTrip } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const numberOf = (frame: ReceivedFrame) => frame.payload.message.n

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

/** Entries and quotas as the database has them: they must always tell the same. */
async function held(server: TestServer) {
  const { sql } = server.app.database
  await server.app.mailboxes.drained()
  const [entries] = await sql`select count(*)::int as n, coalesce(sum(size_bytes), 0)::int as bytes from queue_entry`
  const quotas = await sql`select role, sum(entries)::int as n, sum(bytes)::int as bytes from quota group by role`
  return { entries: entries!.n, quotas: Object.fromEntries(quotas.map((q) => [q.role, q.n])) as Record<string, number> }
}

/** All who are registered have written to these two days ago. */
async function knownForDays(server: TestServer, recipients: readonly string[]): Promise<void> {
  await server.app.database.sql`
    insert into contact (network, sender, recipient, since)
    select network, peer, unnest(${recipients}::text[]), now() - interval '2 days' from identity`
}

test('a message to an absent peer is delivered once, when that peer registers', async (t) => {
  const server = await startTestServer(t)
  const owner = await quickIdentity()
  const gone = await server.join('bob', owner)
  await gone.close()
  const alice = await server.join('alice')
  const before = Date.now()
  alice.send(send('bob', { body: 1 }))
  assert.deepEqual(await alice.next(), {
    type: 'message_queued',
    payload: { targetId: 'bob', status: 'offline', message: 'Message stored for offline delivery' }
  })
  const bob = await server.join('bob', owner)
  const { payload } = await bob.next('message')
  assert.deepEqual([payload.message, payload.fromId], [{ body: 1 }, 'alice'])
  assert.ok(payload.timestamp >= before && payload.timestamp <= Date.now())
  await bob.nothingMore()
  assert.deepEqual(await held(server), { entries: 0, quotas: { sender: 0, recipient: 0 } })
  await bob.close()
  const again = await server.join('bob', owner)
  await again.nothingMore()
})

test('a message for a name nobody has yet waits for whoever registers it first', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  alice.send(send('newcomer', 'welcome'))
  await alice.next('message_queued')
  const newcomer = await server.join('newcomer')
  assert.equal((await newcomer.next('message')).payload.message, 'welcome')
})

test('what was sent to a name nobody had yet is withheld from a real client that could not open it', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  alice.send(send('newcomer', 'plain text'))
  await alice.next('message_queued')
  const identity = await createIdentity()
  alice.send(send('newcomer', await seal('sealed', identity.publicKey)))
  await alice.next('message_queued')
  const newcomer = await server.join('newcomer', identity)
  assert.equal((await newcomer.next('message')).payload.message.algorithm, 'ml-kem-aes')
  await newcomer.nothingMore()
})

test('a backlog arrives in order, before anything sent later', async (t) => {
  const server = await startTestServer(t, { SIGNALING_QUOTA_PER_SENDER: 1_000 })
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const alice = await server.join('alice')
  for (let n = 0; n < 600; n++) alice.send(send('bob', { n }))
  for (let n = 0; n < 600; n++) await alice.next('message_queued')
  const joining = server.join('bob', owner)
  for (let n = 600; n < 900; n++) alice.send(send('bob', { n })) // races with the registration
  const bob = await joining
  for (let n = 0; n < 900; n++) assert.equal((await bob.next('message')).payload.message.n, n)
  await bob.nothingMore()
})

test('messages sent while their recipient comes and goes arrive exactly once and in order', async (t) => {
  const server = await startTestServer(t, { SIGNALING_QUOTA_PER_SENDER: 10_000 })
  const owner = await quickIdentity()
  const alice = await server.join('alice')
  const received: number[] = []
  let next = 0
  for (let round = 0; round < 20; round++) {
    const bob = await server.peer()
    const registering = bob.register('bob', owner)
    for (let n = 0; n < 25; n++) alice.send(send('bob', { n: next++ }))
    await registering
    await roundTrip(alice)
    await server.emptied()
    received.push(...(await roundTrip(bob)).filter((frame) => frame.type === 'message').map(numberOf))
    await bob.close()
  }
  assert.deepEqual(
    received,
    Array.from({ length: next }, (_, n) => n)
  )
})

test('a sender may have 100 messages waiting, counted exactly under concurrent sends', async (t) => {
  const server = await startTestServer(t)
  const alice = await server.join('alice')
  const count = async () => {
    let queued = 0
    const refusals: string[] = []
    for (let n = 0; n < 300; n++) alice.send(send(`absent-${n % 7}`, { n }))
    for (let n = 0; n < 300; n++) {
      const { type, payload } = await alice.next()
      if (type === 'message_queued') queued += 1
      else refusals.push(`${payload.errorType}: ${payload.details}`)
    }
    return { queued, refusals: [...new Set(refusals)] }
  }
  const refusals = [
    'INTERNAL_ERROR: Offline message limit reached (100 messages). Please wait for recipient to come online.'
  ]
  assert.deepEqual(await count(), { queued: 100, refusals })
  assert.deepEqual(await count(), { queued: 0, refusals })
  assert.deepEqual(await held(server), { entries: 100, quotas: { sender: 100, recipient: 100 } })
  const bob = await server.join('bob')
  bob.send(send('absent-1', "the limit is each sender's own"))
  await bob.next('message_queued')
  bob.send(send('alice', 'a connected recipient takes no slot'))
  await alice.next('message')
})

test('two relays of a cluster grant the 100 together', async (t) => {
  const settings = { CLUSTER_NAME: 'test', DATABASE_URL: (await createTestDatabase(t)).url }
  const owner = await quickIdentity()
  let queued = 0
  for (const relay of [await startTestServer(t, settings), await startTestServer(t, settings)]) {
    const alice = await relay.join('alice', owner)
    for (let n = 0; n < 70; n++) alice.send(send('absent', { n }))
    for (let n = 0; n < 70; n++) if ((await alice.next()).type === 'message_queued') queued += 1
    await alice.close()
  }
  assert.equal(queued, 100)
})

test('the count of waiting messages survives a restart, and delivery gives the places back', async (t) => {
  const first = await startTestServer(t, { SIGNALING_QUOTA_PER_SENDER: 3 })
  const [sender, owner] = [await quickIdentity(), await quickIdentity()]
  const alice = await first.join('alice', sender)
  for (let n = 0; n < 3; n++) alice.send(send('bob', { n }))
  for (let n = 0; n < 3; n++) await alice.next('message_queued')
  await first.close()
  const second = await startTestServer(t, { DATABASE_URL: first.databaseUrl, SIGNALING_QUOTA_PER_SENDER: 3 })
  const again = await second.join('alice', sender)
  again.send(send('bob', 'one too many'))
  assert.equal((await again.next()).payload.errorType, 'INTERNAL_ERROR')
  const bob = await second.join('bob', owner)
  for (let n = 0; n < 3; n++) assert.equal((await bob.next('message')).payload.message.n, n)
  await second.emptied() // by bob's pong: a bob that closes before it would get them again
  await bob.close()
  await again.next('peer_disconnected')
  again.send(send('bob', 'a place is free'))
  await again.next('message_queued')
})

test('the mailbox of one recipient is bounded in messages and in bytes', async (t) => {
  const server = await startTestServer(t, { RECIPIENT_QUEUE_MESSAGES: 3, RECIPIENT_QUEUE_BYTES: 1_000 })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  await knownForDays(server, ['many', 'large'])
  for (const [sender, target, body] of [
    [alice, 'many', 1],
    [bob, 'many', 2],
    [alice, 'many', 3],
    [alice, 'large', 'x'.repeat(900)]
  ] as const) {
    sender.send(send(target, body))
    await sender.next('message_queued')
  }
  for (const [target, body] of [
    ['many', 4],
    ['large', 'y'.repeat(200)]
  ] as const) {
    bob.send(send(target, body))
    assert.match((await bob.next()).payload.details, /^Too many messages are waiting/)
  }
  assert.deepEqual(await held(server), { entries: 4, quotas: { sender: 4, recipient: 4 } })
})

test('strangers fill half of a mailbox; the rest is for those its owner has written to', async (t) => {
  const server = await startTestServer(t, { RECIPIENT_QUEUE_MESSAGES: 4 })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  bob.send(send('alice', 'write to me'))
  await alice.next('message')
  await until('the contact is noted', async () => {
    const [noted] = await server.app.database.sql`select from contact where sender = 'bob' and recipient = 'alice'`
    return noted
  })
  await bob.close()
  const strangers = [await server.join('mallory'), await server.join('mallory-2'), await server.join('mallory-3')]
  for (const stranger of strangers.slice(0, 2)) {
    stranger.send(send('bob', 'flood'))
    await stranger.next('message_queued')
  }
  strangers[2]!.send(send('bob', 'flood'))
  assert.match((await strangers[2]!.next('error')).payload.details, /^Too many messages are waiting/)
  alice.send(send('bob', 'from a friend'))
  await alice.next('message_queued')
})

test('messages sealed for an old encryption key are withheld from the new one', async (t) => {
  const server = await startTestServer(t)
  const old = await quickIdentity()
  await (await server.join('bob', old)).close()
  const alice = await server.join('alice')
  alice.send(send('bob', 'for the old key'))
  await alice.next('message_queued')
  const rekeyed = { ...old, publicKey: crypto.getRandomValues(new Uint8Array(36)) }
  const bob = await server.join('bob', rekeyed)
  await bob.nothingMore()
  alice.send({ type: 'request_public_key', payload: { targetId: 'bob' } })
  assert.deepEqual((await alice.next('public_key_response')).payload.publicKey, [...rekeyed.publicKey])
  alice.send(send('bob', 'for the new key'))
  assert.equal((await bob.next('message')).payload.message, 'for the new key')
  const changes = await server.app.database.sql`select key_id from identity_key where peer = 'bob'`
  assert.equal(changes.length, 2)
  await bob.close()
  const back = await server.join('bob', old) // the old key again: its messages were kept
  assert.equal((await back.next('message')).payload.message, 'for the old key')
})

test('an expired message is deleted, not delivered, and its place is given back', async (t) => {
  let now = Date.now()
  const server = await startTestServer(t, { QUEUE_TTL_SECONDS: 60 }, { now: () => now })
  const alice = await server.join('alice')
  for (let n = 0; n < 5; n++) alice.send(send('bob', { n }))
  for (let n = 0; n < 5; n++) await alice.next('message_queued')
  now += 61_000
  alice.send(send('bob', 'fresh'))
  await alice.next('message_queued')
  const bob = await server.join('bob')
  assert.equal((await bob.next('message')).payload.message, 'fresh')
  await bob.nothingMore()
  assert.equal(await server.app.mailboxes.expire(), 5)
  assert.equal(await server.app.mailboxes.expire(), 0)
  assert.deepEqual(await held(server), { entries: 0, quotas: { sender: 0, recipient: 0 } })
})

test('more than one sweep step expires completely', async (t) => {
  let now = Date.now()
  const server = await startTestServer(
    t,
    { QUEUE_TTL_SECONDS: 60, SIGNALING_QUOTA_PER_SENDER: 5_000 },
    { now: () => now }
  )
  const alice = await server.join('alice')
  for (let n = 0; n < 2_500; n++) alice.send(send('bob', { n }))
  for (let n = 0; n < 2_500; n++) await alice.next('message_queued')
  now += 61_000
  assert.equal(await server.app.mailboxes.expire(), 2_500)
  assert.deepEqual(await held(server), { entries: 0, quotas: { sender: 0, recipient: 0 } })
})
