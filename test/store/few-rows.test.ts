// A few rows are stored by another statement than many: what is stored is the same.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Pool, type Sql } from '../../src/database/pool.ts'
import { takeAuditEvents } from '../../src/store/audit-inbox.ts'
import { conversationId, insertMessages } from '../../src/store/message.ts'
import { insertEntries, type QueueEntry } from '../../src/store/queue-entry.ts'
import { FEW_ROWS } from '../../src/store/rows.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const NUMBERS = [1, 2, FEW_ROWS, FEW_ROWS + 1, 2 * FEW_ROWS]
const STORED = { isAudited: true, ttlMs: 1_000 }

async function database(t: TestContext): Promise<Sql> {
  const { url } = await createTestDatabase(t)
  const pool = new Pool({ url, size: 1, statementMs: 30_000, log: silentLog })
  t.after(() => pool.end(1_000))
  return pool.sql
}

/** Names that mean something to whatever takes lists or quotes apart. */
const entriesOf = (network: string, count: number): QueueEntry[] =>
  Array.from({ length: count }, (_, place) => ({
    ...{ seq: 0, network, sender: `a,"{}\\'\n${place}`, recipient: `${place} $1 null 🙂`, digest: `d${place}` },
    ...{
      sealed: `{"n":"\\n${place}"}`,
      bytes: 10 + place,
      keyId: place % 2 === 0 ? null : 'ab',
      slot: place % 3 === 0
    },
    ...{ acceptedAt: 1_000_000 + place, deliveries: 0 }
  }))

async function stored(sql: Sql, network: string) {
  const entries = await sql`
    select queue_entry.seq, network, sender, recipient, coalesce(queue_entry.sealed, message.sealed) as sealed,
      queue_entry.size_bytes as bytes, slot, accepted_at as "acceptedAt", expires_at as "expiresAt", key_id as "keyId"
    from queue_entry left join message using (seq, network, sender, recipient)
    where network = ${network} order by seq`
  return [...entries]
}

const audited = (sql: Sql) =>
  sql.begin(async (tx) => {
    const events = await takeAuditEvents(tx, 100, [])
    return events.map(({ kind, sender, recipient, digest, bytes, acceptedAt }) => ({
      ...{ kind, sender, recipient, digest: digest?.length === 64 ? 'sha256' : digest, bytes, acceptedAt }
    }))
  })

for (const count of NUMBERS) {
  test(`${count} messages of a mailbox, and what the trail keeps of them`, async (t) => {
    const sql = await database(t)
    const entries = await insertEntries(sql, entriesOf('signaling', count), STORED)
    const expected = entries.map(({ digest, deliveries, ...entry }) => ({
      ...entry,
      expiresAt: entry.acceptedAt + 1_000
    }))
    assert.deepEqual(await stored(sql, 'signaling'), expected)
    assert.deepEqual(
      entries.map(({ seq }) => seq - entries[0]!.seq),
      entries.map((_, place) => place)
    )
    const events = entries.map(({ sender, recipient, bytes, acceptedAt }) => ({
      ...{ kind: 'message', sender, recipient, digest: 'sha256', bytes, acceptedAt }
    }))
    assert.deepEqual(await audited(sql), events)
  })

  test(`${count} messages of a conversation, and what the trail keeps of them`, async (t) => {
    const sql = await database(t)
    const messages = entriesOf('net', count).map((entry, place) => ({
      ...{ entry, conversation: conversationId('net', entry.sender, entry.recipient), sentAt: 2_000_000 + place }
    }))
    const seqs = await insertMessages(sql, messages, STORED, true)
    const again = await insertMessages(sql, messages, STORED, false)
    assert.equal(again.size, 0)
    const expected = messages.map(({ entry: { digest, deliveries, ...entry } }, place) => ({
      ...{ ...entry, seq: seqs.get(place), keyId: null, expiresAt: entry.acceptedAt + 1_000 }
    }))
    assert.deepEqual(await stored(sql, 'net'), expected)
    const events = messages.map(({ entry: { sender, recipient, digest, bytes, acceptedAt } }) => ({
      ...{ kind: 'message', sender, recipient, digest, bytes, acceptedAt }
    }))
    assert.deepEqual(await audited(sql), events)
  })
}
