// A database of version 0.1 keeps its messages when the mailboxes and the history change their form.
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { migrate } from '../../src/database/migrate.ts'
import type { Sql } from '../../src/database/pool.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { emptyTestDatabase, temporaryDirectory } from '../helpers/database.ts'

const MIGRATION = '0015_queue_entry_deliveries.sql'
const TABLES = ['queue_entry', 'message', 'quota', 'audit_inbox', 'identity', 'l2ps_network'] as const

/** Brings a database to the state before a migration, or up to and with it. */
async function migrateTo(t: TestContext, sql: Sql, name: string, isIncluded: boolean): Promise<void> {
  const directory = join(await temporaryDirectory(t), 'migrations')
  await mkdir(directory)
  for (const each of await readdir(packageFile('migrations'))) {
    if (each < name || (isIncluded && each === name)) {
      await copyFile(join(packageFile('migrations'), each), join(directory, each))
    }
  }
  await migrate(sql, directory)
}

/** What a server of version 0.1 leaves: messages that wait in both protocols, some with a body of their own. */
async function fillAsBefore(sql: Sql): Promise<void> {
  await sql`
    insert into message (id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
    select gen_random_uuid(), gen_random_uuid(), 'net', 'alice', 'bob', n::text, '"kept"', 6, 1000 + n
    from generate_series(1, 20) as n`
  await sql`
    insert into queue_entry (seq, network, sender, recipient, size_bytes, slot, accepted_at, expires_at)
    select seq, network, sender, recipient, size_bytes, seq % 2 = 0, sent_at, sent_at + 500 from message where seq <= 10`
  await sql`
    insert into queue_entry (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
    select 'signaling', 'carol', 'dave', case when n % 3 = 0 then 'key' end, '"passing"', 9, true, 2000 + n, 3000 + n
    from generate_series(1, 10) as n`
  await sql`
    insert into quota (network, peer, role, entries, bytes)
    select network, sender, 'sender', count(*), sum(size_bytes) from queue_entry where slot group by 1, 2
    union all
    select network, recipient, 'recipient', count(*), sum(size_bytes) from queue_entry where slot group by 1, 2`
}

async function contentsOf(sql: Sql): Promise<Map<string, readonly object[]>> {
  const contents = new Map<string, readonly object[]>()
  for (const table of TABLES) {
    const rows = await sql<
      { row: object }[]
    >`select to_jsonb(t) - 'deliveries' as row from ${sql(table)} as t order by 1`
    contents.set(
      table,
      rows.map(({ row }) => row)
    )
  }
  return contents
}

const indexesOf = async (sql: Sql, table: string) => {
  const rows = await sql<{ name: string; definition: string }[]>`
    select indexname as name, regexp_replace(indexdef, '^.* USING ', '') as definition from pg_indexes
    where tablename = ${table} order by name`
  return Object.fromEntries(rows.map(({ name, definition }) => [name, definition]))
}

test('messages, their places and their quotas stay as they are, and none has been delivered in vain', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  await migrateTo(t, sql, MIGRATION, false)
  await fillAsBefore(sql)
  const before = await contentsOf(sql)
  await migrateTo(t, sql, MIGRATION, true)
  assert.deepEqual(await contentsOf(sql), before)
  assert.equal(before.get('queue_entry')?.length, 20)
  assert.deepEqual([...(await sql`select distinct deliveries from queue_entry`)], [{ deliveries: 0 }])
  await assert.rejects(sql`update queue_entry set deliveries = -1`, /deliveries_check/)
})

test('each protocol has its index of expiry, and messages have none of their age', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  await migrateTo(t, sql, MIGRATION, false)
  await fillAsBefore(sql)
  await migrateTo(t, sql, MIGRATION, true)
  assert.deepEqual(await indexesOf(sql, 'queue_entry'), {
    queue_entry_expiry_l2ps_idx: `btree (expires_at) WHERE (network <> 'signaling'::text)`,
    queue_entry_expiry_signaling_idx: `btree (expires_at) WHERE (network = 'signaling'::text)`,
    queue_entry_pkey: 'btree (network, recipient, seq)',
    queue_entry_seq_idx: 'hash (seq)'
  })
  assert.deepEqual(await indexesOf(sql, 'message'), {
    message_history_idx: 'btree (conversation, sent_at)',
    message_once: 'btree (conversation, message_hash, sender)',
    message_pkey: 'btree (seq)'
  })
})
