// Beside a transaction of somebody else that stays open, Postgres keeps every row that was deleted since.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import postgres from 'postgres'
import type { Sql } from '../../src/database/database.ts'
import { quickIdentity } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

/** From the start on, a relay reads mailboxes whole for a minute. */
const WHOLE_MS = 61_000
const BACKLOG = 40
const LEAST_DEAD = 4_000

/** Entries of the index of mailboxes that were read, deleted ones among them. */
async function indexReads(sql: Sql): Promise<number> {
  // At the same time, so that each connection of the pool carries out one.
  await Promise.all([1, 2].map(() => sql`select pg_stat_force_next_flush(), pg_sleep(0.2)`))
  const [row] = await sql<{ reads: number }[]>`
    select idx_tup_read as reads from pg_stat_user_indexes where indexrelname = 'queue_entry_pkey'`
  return row!.reads
}

test('a backlog is drained at the same cost however many deleted rows a long transaction keeps', async (t) => {
  const server = await startTestServer(t, {
    ...{ DATABASE_POOL_SIZE: 2, SIGNALING_QUOTA_PER_SENDER: 1_000 },
    ...{ WORK_PER_SOCKET: 0, WORK_PER_ADDRESS: 0, WORK_PER_IDENTITY: 0 }
  })
  const { sql } = server.app.database
  const other = postgres(server.databaseUrl, { max: 1 })
  t.after(() => other.end())
  await other.unsafe('begin isolation level repeatable read; select 1 from queue_entry')
  const identity = await quickIdentity()
  await (await server.join('bob', identity)).close()
  const alice = await server.join('alice')

  /** How many entries of the index were read, and the ms it took. */
  const drain = async (): Promise<[reads: number, ms: number]> => {
    for (let n = 0; n < BACKLOG; n++) alice.send({ type: 'message', payload: { targetId: 'bob', message: { n } } })
    for (let n = 0; n < BACKLOG; n++) await alice.next('message_queued', 60_000)
    const [before, since] = [await indexReads(sql), performance.now()]
    const bob = await server.join('bob', identity)
    for (let n = 0; n < BACKLOG; n++) await bob.next('message', 60_000)
    const ms = performance.now() - since
    await bob.nothingMore()
    await bob.close()
    await server.app.mailboxes.drained()
    return [(await indexReads(sql)) - before, ms]
  }

  const begun = Date.now()
  const [first, firstMs] = await drain()
  let drained = BACKLOG
  for (; Date.now() - begun < WHOLE_MS || drained < LEAST_DEAD; drained += BACKLOG) await drain()
  const last: [reads: number, ms: number][] = []
  for (let n = 0; n < 5; n++) {
    await new Promise((resolve) => setTimeout(resolve, 1_100)) // what is stored counts as settled after a second
    last.push(await drain())
  }
  const [[dead]] = [await sql<{ dead: number }[]>`select pg_stat_get_dead_tuples('queue_entry'::regclass)::int as dead`]
  const reads = last.map(([each]) => each).sort((a, b) => a - b)[2]!
  const ms = last.map(([, each]) => each).sort((a, b) => a - b)[2]!
  t.diagnostic(`${drained} drained; index entries read: ${first} at first, ${reads} at last; ${firstMs} and ${ms} ms`)
  assert.ok(dead!.dead > LEAST_DEAD / 2, `${dead!.dead} rows are dead`)
  assert.ok(reads < 4 * first + 4 * BACKLOG, `${reads} entries of the index were read, ${first} at first`)
})
