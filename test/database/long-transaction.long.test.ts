// Beside a transaction of somebody else that stays open, Postgres keeps every row that was deleted since.
// The figures of docs/deploy.md: LONG_TRANSACTION_MINUTES=10 npm run test:long -- long-transaction
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import type { Sql } from '../../src/database/database.ts'
import { type Peer, quickIdentity } from '../helpers/peer.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

/** From the start on, a relay reads mailboxes whole for a minute. */
const LEAST_MS = 61_000
const MINUTES = Number(process.env.LONG_TRANSACTION_MINUTES ?? 0)
const OPEN_MS = Math.max(LEAST_MS, MINUTES * 60_000)
/** Modest: the machine has other work to do. */
const MESSAGES_PER_SECOND = 250
const BACKLOG = 40
const LEAST_DEAD = 4_000
/** What is stored counts as settled after a second. */
const SETTLED_MS = 1_100
const PROBES = 5
/** Autovacuum looks at a database once a minute, and may be busy: among the databases of all tests for longer than this. */
const VACUUM_PATIENCE_MS = 300_000
/** What each message leaves behind, or passes through. */
const TABLES = ['queue_entry', 'audit_inbox', 'quota']

/** What it costs to be delivered: medians. */
interface Cost {
  /** Entries of the index of mailboxes that a drain read, deleted ones among them. */
  readonly reads: number
  readonly drainMs: number
  /** From a sender to a recipient that is connected. */
  readonly relayMs: number
}

test('delivery costs the same however long a transaction keeps deleted rows', async (t) => {
  const server = await startTestServer(t, {
    ...{ DATABASE_POOL_SIZE: 2, SIGNALING_QUOTA_PER_SENDER: 1_000 },
    ...{ WORK_PER_SOCKET: 0, WORK_PER_ADDRESS: 0, WORK_PER_IDENTITY: 0 }
  })
  const { sql } = server.app.database
  const other = postgres(server.databaseUrl, { max: 1 })
  t.after(() => other.end())
  await other.unsafe('begin isolation level repeatable read; select 1 from queue_entry')
  const traffic = await startTraffic(server)

  const begun = performance.now()
  const first = await traffic.cost()
  let drained = BACKLOG * PROBES
  for (; performance.now() - begun < OPEN_MS || drained < LEAST_DEAD; drained += BACKLOG) {
    await traffic.drain()
    await delay(begun + (drained / MESSAGES_PER_SECOND) * 1_000 - performance.now())
  }
  const last = await traffic.cost()
  const kept = await sizes(sql)
  const seconds = Math.round((performance.now() - begun) / 1_000)
  t.diagnostic(`${drained} messages drained in ${seconds} s beside it`)
  t.diagnostic(`cost at first ${words(first)}, at last ${words(last)}; then ${JSON.stringify(kept)}`)
  assert.ok(kept.queue_entry!.dead > LEAST_DEAD / 2, `${kept.queue_entry!.dead} rows are dead`)
  assert.ok(last.reads < 4 * first.reads + 4 * BACKLOG, `${last.reads} entries were read, ${first.reads} at first`)

  await other.unsafe('commit')
  if (MINUTES > 0) await clearedByAutovacuum(t, sql, kept.queue_entry!.tableBytes, traffic.cost)
})

/** That Postgres clears the table by itself afterwards is measured where nothing else keeps autovacuum busy. */
async function clearedByAutovacuum(t: TestContext, sql: Sql, keptBytes: number, cost: () => Promise<Cost>) {
  const ended = performance.now()
  const isCleared = async () => {
    const now = await sizes(sql)
    return now.queue_entry!.tableBytes * 4 < keptBytes ? now : undefined
  }
  const cleared = await until('the table is small again', isCleared, VACUUM_PATIENCE_MS)
  const clearedAfter = Math.round((performance.now() - ended) / 1_000)
  t.diagnostic(`cleared ${clearedAfter} s after it: ${JSON.stringify(cleared)}; cost ${words(await cost())}`)
}

async function startTraffic(server: TestServer) {
  const { sql } = server.app.database
  const identity = await quickIdentity()
  await (await server.join('bob', identity)).close()
  const [alice, carol] = [await server.join('alice'), await server.join('carol')]
  const send = (targetId: string) => alice.send({ type: 'message', payload: { targetId, message: {} } })

  /** Fills the mailbox of a peer that is away, and empties it. */
  const drain = async (): Promise<number> => {
    for (let n = 0; n < BACKLOG; n++) send('bob')
    for (let n = 0; n < BACKLOG; n++) await alice.next('message_queued', 60_000)
    const since = performance.now()
    const bob = await server.join('bob', identity)
    for (let n = 0; n < BACKLOG; n++) await bob.next('message', 60_000)
    const ms = performance.now() - since
    await leave(bob)
    return ms
  }
  const leave = async (bob: Peer) => {
    await bob.nothingMore()
    await bob.close()
    await server.app.mailboxes.drained()
  }
  const relay = async (): Promise<number> => {
    const since = performance.now()
    send('carol')
    await carol.next('message', 60_000)
    return performance.now() - since
  }
  const cost = async (): Promise<Cost> => {
    const [reads, drains, relays]: [number[], number[], number[]] = [[], [], []]
    for (let probe = 0; probe < PROBES; probe++) {
      await delay(SETTLED_MS)
      const before = await indexReads(sql)
      drains.push(await drain())
      reads.push((await indexReads(sql)) - before)
      for (let n = 0; n < 20; n++) relays.push(await relay())
    }
    return { reads: median(reads), drainMs: median(drains), relayMs: median(relays) }
  }
  return { drain, cost }
}

async function indexReads(sql: Sql): Promise<number> {
  // At the same time, so that each connection of the pool carries out one.
  await Promise.all([1, 2].map(() => sql`select pg_stat_force_next_flush(), pg_sleep(0.2)`))
  const [row] = await sql<{ reads: number }[]>`
    select idx_tup_read as reads from pg_stat_user_indexes where indexrelname = 'queue_entry_pkey'`
  return row!.reads
}

/** Of each table: its size, that of its indexes, and the deleted rows in it as Postgres counts them. */
async function sizes(sql: Sql) {
  const rows = await sql<{ name: string; tableBytes: number; indexBytes: number; dead: number }[]>`
    select relname as name, pg_table_size(relid) as "tableBytes", pg_indexes_size(relid) as "indexBytes",
      n_dead_tup as dead
    from pg_stat_user_tables where relname in ${sql(TABLES)}`
  return Object.fromEntries(rows.map(({ name, ...size }) => [name, size]))
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
const words = ({ reads, drainMs, relayMs }: Cost) =>
  `${reads} index entries, ${drainMs.toFixed(1)} ms for ${BACKLOG}, ${relayMs.toFixed(1)} ms live`
