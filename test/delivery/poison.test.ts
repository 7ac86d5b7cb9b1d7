// A message that its recipient cannot take: it is counted, found and removed, and keeps no other from arriving.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type AdministeredServer, startAdministered, store } from '../admin/helpers.ts'
import { openPeer, type Peer, quickIdentity, registerFrame } from '../helpers/peer.ts'
import { until } from '../helpers/wait.ts'

const QUEUE = '/queues/signaling/bob'

interface Reader {
  readonly server: AdministeredServer
  readonly owner: Peer['identity']
}

/** bob, who acknowledges and is away, and messages of alice's that wait for him. */
async function startReader(t: TestContext, bodies: readonly string[], settings = {}): Promise<Reader> {
  const server = await startAdministered(t, settings)
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  await store(await server.join('alice'), ...bodies.map((body) => ['bob', body] as const))
  return { server, owner }
}

async function connect(t: TestContext, { server, owner }: Reader): Promise<Peer> {
  const bob = await openPeer(t, server.addresses.signaling)
  bob.send(await registerFrame('bob', owner, { features: ['ack'] }))
  assert.equal((await bob.next()).type, 'register')
  return bob
}

/** Takes a message, which must be this one; returns what to acknowledge it by. */
async function take(bob: Peer, body: string): Promise<number> {
  const { payload } = await bob.next('message')
  assert.equal(payload.message, body)
  return payload.seq
}

const acknowledge = (bob: Peer, seq: number) => bob.send({ type: 'ack', payload: { seq } })

/** Connects, is sent just these messages, and dies without an acknowledgement. */
async function die(t: TestContext, reader: Reader, bodies: readonly string[]): Promise<void> {
  const bob = await connect(t, reader)
  for (const body of bodies) await take(bob, body)
  await bob.nothingMore()
  bob.terminate()
  const { mailboxes, presence } = reader.server.app
  await until('the end of the session', () => presence.sessions('signaling', 'bob').length === 0)
  await mailboxes.drained()
}

/** What the admin API says of each message in the mailbox, oldest first. */
async function shown({ server }: Reader): Promise<{ seq: number; deliveries: number }[]> {
  const { entries } = await server.ok('GET', QUEUE)
  return entries.map(({ seq, deliveries }: { seq: number; deliveries: number }) => ({ seq, deliveries }))
}

const deliveries = async (reader: Reader) => (await shown(reader)).map((entry) => entry.deliveries)

test('sessions that end without a receipt are counted, and from the second on the message is sent alone', async (t) => {
  const reader = await startReader(t, ['poison', 'two', 'three'])
  assert.deepEqual(await deliveries(reader), [0, 0, 0])
  await die(t, reader, ['poison', 'two', 'three'])
  assert.deepEqual(await deliveries(reader), [1, 1, 1])
  await die(t, reader, ['poison', 'two', 'three'])
  for (const count of [3, 4, 5]) {
    await die(t, reader, ['poison'])
    assert.deepEqual(await deliveries(reader), [count, 2, 2])
  }
})

test('what is behind it arrives when it is deleted by its place, while its reader is connected', async (t) => {
  const reader = await startReader(t, ['poison', 'two', 'three'])
  for (const _ of [1, 2]) await die(t, reader, ['poison', 'two', 'three'])
  const bob = await connect(t, reader)
  const poison = await take(bob, 'poison')
  await bob.nothingMore()
  assert.deepEqual((await reader.server.ok('DELETE', `${QUEUE}/${poison}`)).purged.entries, 1)
  acknowledge(bob, await take(bob, 'two'))
  acknowledge(bob, await take(bob, 'three'))
  await reader.server.emptied()
  await bob.nothingMore()
})

test('what is behind it arrives when it is deleted by its place, at the next registration', async (t) => {
  const reader = await startReader(t, ['poison', 'two'])
  for (const _ of [1, 2]) await die(t, reader, ['poison', 'two'])
  for (const _ of [3, 4, 5]) await die(t, reader, ['poison'])
  const [poison] = await shown(reader)
  await reader.server.ok('DELETE', `${QUEUE}/${poison!.seq}`)
  const bob = await connect(t, reader)
  acknowledge(bob, await take(bob, 'two'))
  await reader.server.emptied()
  await bob.nothingMore()
})

test('after MAX_DELIVERIES it is set aside and stays to be seen, until it is queued again', async (t) => {
  const reader = await startReader(t, ['poison', 'two', 'three'], { MAX_DELIVERIES: 3 })
  for (const _ of [1, 2]) await die(t, reader, ['poison', 'two', 'three'])
  await die(t, reader, ['poison'])
  assert.deepEqual(await deliveries(reader), [3, 2, 2])

  const bob = await connect(t, reader)
  acknowledge(bob, await take(bob, 'two'))
  acknowledge(bob, await take(bob, 'three'))
  await until('only the poison is left', async () => (await deliveries(reader)).length === 1)
  await bob.nothingMore()
  assert.deepEqual(await deliveries(reader), [3])

  assert.deepEqual(await reader.server.ok('POST', `${QUEUE}/requeue`, {}), { requeued: { entries: 1 } })
  const poison = await take(bob, 'poison')
  assert.deepEqual(await shown(reader), [{ seq: poison, deliveries: 0 }])
  acknowledge(bob, poison)
  await reader.server.emptied()
})

test('it is sent again when it is queued again, though its reader has not receipted what comes before it', async (t) => {
  const reader = await startReader(t, ['one', 'poison'], { MAX_DELIVERIES: 3 })
  const { sql } = reader.server.app.database
  await sql`update queue_entry set deliveries = 3 where seq = (select max(seq) from queue_entry)`
  const bob = await connect(t, reader)
  await take(bob, 'one')
  await bob.nothingMore()
  await reader.server.ok('POST', `${QUEUE}/requeue`, {})
  acknowledge(bob, await take(bob, 'poison'))
  await reader.server.emptied()
  await bob.nothingMore()
})
