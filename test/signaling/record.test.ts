// The proof of a signaling message: its two ends are told the hash of its record (docs/protocol.md, 2.10).
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { fetchEvidence, verifyProof } from '../../client/src/proof.ts'
import { integrate } from '../../src/audit/integrate.ts'
import { PublishedLogs } from '../../src/audit/published.ts'
import { nameOfMessage } from '../../src/audit/record.ts'
import { findNamed } from '../../src/store/audit-entry.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { message, messages, openTestTrail } from '../audit/helpers.ts'
import { startCluster } from '../cluster/relays.ts'
import type { Peer } from '../helpers/peer.ts'
import { explainedSql } from '../helpers/plans.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const FAST = { AUDIT_INTERVAL_MS: 50 }

interface Question {
  readonly fromId: string
  readonly targetId: string
  readonly digest: string
}

const digestOf = (body: string) => createHash('sha256').update(body).digest('hex')

/** Hands over a body as this very text. */
const say = (sender: Peer, targetId: string, body: string) =>
  sender.ws.send(`{"type":"message","payload":{"targetId":"${targetId}","message":${body}}}`)

async function ask(peer: Peer, payload: Question) {
  peer.send({ type: 'request_record', payload })
  return (await peer.next()).payload
}

/** The hashes of so many records, once the log that has them is signed. */
const recordsOf = (peer: Peer, question: Question, count: number): Promise<string[]> =>
  until(`${count} records are under a signed checkpoint`, async () => {
    const { records } = await ask(peer, question)
    return records.length === count && records
  })

/** What the relay serves to everybody proves that it accepted the message. */
async function prove(server: TestServer, { fromId, targetId, digest }: Question, txHash: string) {
  const url = server.addresses.signaling.replace('ws', 'http')
  const vkey = await (await fetch(`${url}/audit/vkey`)).text()
  const evidence = { vkey, ...(await fetchEvidence(url, 'signaling', txHash)) }
  return verifyProof({ from: fromId, to: targetId, digest }, evidence)
}

test('the sender and the recipient of a message are told its record, which proves the message', async (t) => {
  const server = await startTestServer(t, FAST)
  const [alice, bob, eve] = await Promise.all([server.join('alice'), server.join('bob'), server.join('eve')])
  const body = '{ "n" : 1e999, "text":"h\\u00e9" }' // its text is recorded, not its value
  say(alice, 'bob', body)
  await bob.next('message')
  const question = { fromId: 'alice', targetId: 'bob', digest: digestOf(body) }
  const [txHash] = (await recordsOf(bob, question, 1)) as [string]
  assert.deepEqual(await ask(alice, question), { ...question, records: [txHash] })
  const proven = await prove(server, question, txHash)
  assert.deepEqual([proven.txHash, proven.nonce], [txHash, 1])
  assert.match(proven.origin, /\/signaling$/)

  const { errorType, details } = await ask(eve, question)
  assert.deepEqual(
    [errorType, details],
    ['INVALID_MESSAGE', 'The record of a message is told to its sender and its recipient alone']
  )
  for (const other of [
    { ...question, fromId: 'bob', targetId: 'alice' },
    { ...question, digest: digestOf(`${body} `) },
    { ...question, targetId: 'eve' }
  ]) {
    assert.deepEqual(await ask(alice, other), { ...other, records: [] })
  }
})

test('who knows what was sent but has no part in it learns nothing, whatever it sends itself', async (t) => {
  const server = await startTestServer(t, FAST)
  const [alice, bob, eve] = await Promise.all([server.join('alice'), server.join('bob'), server.join('eve')])
  const body = '"attack at dawn"'
  for (const sender of [alice, eve]) say(sender, 'bob', body)
  for (let n = 0; n < 2; n++) await bob.next('message')
  const hers = { fromId: 'eve', targetId: 'bob', digest: digestOf(body) }
  const [own] = await recordsOf(eve, hers, 1)
  assert.notDeepEqual(await recordsOf(alice, { ...hers, fromId: 'alice' }, 1), [own])
})

test('a message that waited for its recipient is proven like any other, also names that are not ASCII', async (t) => {
  const server = await startTestServer(t, FAST)
  const alice = await server.join('älice "100%"')
  const body = JSON.stringify(randomUUID())
  say(alice, 'bób', body)
  await alice.next('message_queued')
  const question = { fromId: 'älice "100%"', targetId: 'bób', digest: digestOf(body) }
  const [txHash] = (await recordsOf(alice, question, 1)) as [string]
  const bob = await server.join('bób')
  assert.equal((await bob.next('message')).payload.fromId, 'älice "100%"')
  assert.deepEqual((await ask(bob, question)).records, [txHash])
  await prove(server, question, txHash)
})

test('before its record is under a signed checkpoint, a message has none to tell', async (t) => {
  const { database, sql, sequencer, publisher } = await openTestTrail(t)
  const sent = message(1)
  const { sender, recipient, digest } = sent
  const told = () => new PublishedLogs(database).recordsOf('signaling', { sender, recipient, digest })
  await insertAuditEvents(sql, [message(2)])
  await sequencer.round()
  await insertAuditEvents(sql, [sent])
  assert.deepEqual(await told(), [], 'in the inbox')
  await integrate(sql, { limit: 10, except: [], signer: publisher.signer, check: () => {} })
  assert.deepEqual(await told(), [], 'in the tree')
  await publisher.publish()
  assert.equal((await told()).length, 1, 'under a checkpoint')
})

test('only the record of a message has a name to be found by', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record([
    { kind: 'key-change', network: 'signaling', acceptedAt: 1, sender: 'alice', digest: 'ab'.repeat(16) },
    message(1)
  ])
  const names = await trail.sql<{ name: number | null }[]>`select name from audit_entry order by idx`
  assert.deepEqual(
    names.map(({ name }) => name !== null),
    [false, true]
  )
  await trail.sql`update audit_entry set name = (select max(name) from audit_entry)` // as if the two had one name
  const { sender, recipient, digest } = message(1)
  assert.equal(
    (await new PublishedLogs(trail.database).recordsOf('signaling', { sender, recipient, digest })).length,
    1
  )
})

test('a record is found by its name, however large the log and however often its message was sent', async (t) => {
  const trail = await openTestTrail(t)
  const { sender, recipient, digest } = message(1)
  await trail.record([...messages(3_000), ...Array.from({ length: 3_000 }, () => message(1))])
  const { sql, plansOf } = await explainedSql(t, trail.url)
  for (const known of [
    { sender, recipient, digest },
    { sender, recipient, digest: 'of nothing' }
  ]) {
    const nodes = await plansOf(() => findNamed(sql, 'signaling', nameOfMessage(known), 16))
    const read = nodes.filter(({ table }) => table === 'audit_entry')
    assert.deepEqual(
      read.map(({ index }) => index),
      ['audit_entry_name_idx']
    )
    assert.ok(read[0]!.rows <= 17, `${read[0]!.rows} rows were read`)
  }
})

test('a message that was sent again has a record each time, oldest first, of which 16 are told', async (t) => {
  const server = await startTestServer(t, FAST)
  const alice = await server.join('alice')
  const question = { fromId: 'alice', targetId: 'alice', digest: digestOf('"again"') }
  const send = async () => {
    say(alice, 'alice', '"again"')
    await alice.next('message')
  }
  await send()
  const [first] = (await recordsOf(alice, question, 1)) as [string]
  await send()
  const [oldest, second] = (await recordsOf(alice, question, 2)) as [string, string]
  assert.equal(oldest, first)
  const [one, two] = [await prove(server, question, first), await prove(server, question, second)]
  assert.deepEqual([one.nonce, two.nonce], [1, 2])
  assert.ok(one.acceptedAtMs <= two.acceptedAtMs)
  for (let n = 0; n < 16; n++) await send()
  const records = await recordsOf(alice, question, 16)
  assert.equal(new Set(records).size, 16)
})

test('each relay of a cluster tells the record of a message, wherever it was accepted', async (t) => {
  const { relays } = await startCluster(t, 2, 'postgres', FAST)
  const [one, two] = relays as [TestServer, TestServer]
  const [alice, bob] = [await one.join('alice'), await two.join('bob')]
  say(alice, 'bob', '"across"')
  await bob.next('message')
  const question = { fromId: 'alice', targetId: 'bob', digest: digestOf('"across"') }
  const [txHash] = (await recordsOf(bob, question, 1)) as [string]
  assert.deepEqual((await ask(alice, question)).records, [txHash])
  for (const relay of relays) await prove(relay, question, txHash)
})
