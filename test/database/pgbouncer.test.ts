import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openDatabase } from '../../src/database/database.ts'
import { StartError } from '../../src/util/start-error.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { asAdmin, createTestDatabase, emptyTestDatabase } from '../helpers/database.ts'
import { startPgBouncer } from '../helpers/pgbouncer.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'
import { inWords, sendSteadily } from '../helpers/steady-sender.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

const options = needs('pgbouncer')
const open = (t: Scope, url: string, pooler?: 'session' | 'transaction') => {
  const opened = openDatabase({ url, pooler, dataDir: '/nonexistent', poolSize: 4, deadlineMs: 5_000 }, silentLog)
  atEnd(t, async () => (await opened.catch(() => undefined))?.close())
  return opened
}

for (const mode of ['session', 'transaction'] as const) {
  test(`a relay behind PgBouncer in ${mode} mode migrates, relays, keeps and drains`, options, async (t) => {
    const { url, sql } = await emptyTestDatabase(t)
    const behind = await startPgBouncer(t, url, { pool_mode: mode, default_pool_size: mode === 'session' ? '20' : '3' })
    const server = await startTestServer(t, { DATABASE_URL: behind, AUDIT_INTERVAL_MS: 50 })
    assert.equal(server.app.database.isPooledByTransaction, mode === 'transaction')
    const alice = await server.join('alice')
    const bob = await server.join('bob')
    for (let number = 0; number < 100; number++) {
      const targetId = number % 2 === 0 ? 'bob' : 'carol'
      alice.send({ type: 'message', payload: { targetId, message: { number } }, timestamp: 1 })
    }
    for (let number = 0; number < 50; number++)
      assert.equal((await bob.next('message')).payload.message.number, 2 * number)
    for (let number = 0; number < 50; number++) await alice.next('message_queued')
    const carol = await server.join('carol')
    for (let number = 0; number < 50; number++) {
      assert.equal((await carol.next('message')).payload.message.number, 2 * number + 1)
    }
    await server.emptied()
    await until('all is recorded', async () => {
      const [row] = await sql<{ size: number }[]>`select size from audit_log where network = 'signaling'`
      return row?.size === 100
    })
    await until('it is ready', async () => (await server.app.inject('/health/ready')).statusCode === 200)
  })
}

for (const mode of ['session', 'transaction'] as const) {
  test(`in ${mode} mode, the relay goes on when the server ends every connection of the pooler`, options, async (t) => {
    const { url, sql } = await createTestDatabase(t)
    const behind = await startPgBouncer(t, url, { pool_mode: mode, default_pool_size: '10' })
    const server = await startTestServer(t, { DATABASE_URL: behind })
    const { stats, stop } = await sendSteadily(server)
    await until('some are stored', () => stats.queued > 20)
    const before = stats.queued
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'demos-relay' and pid <> pg_backend_pid()`
    await until('it goes on', () => stats.queued > before + 50, 20_000)
    await until('it is ready', async () => (await server.app.inject('/health/ready')).statusCode === 200, 10_000)
    const sent = await stop()
    t.diagnostic(`PgBouncer, ${mode} mode: ${inWords(sent)}`)
    const [row] = await sql<{ count: number }[]>`select count(*) from queue_entry where recipient = 'away'`
    assert.ok(row!.count >= sent.queued, `${row!.count} of ${sent.queued} are there`)
  })
}

test('many statements and transactions at once share few server processes without an error', options, async (t) => {
  const { url } = await createTestDatabase(t)
  const database = await open(t, await startPgBouncer(t, url, { pool_mode: 'transaction', default_pool_size: '2' }))
  await database.sql`create table item (id int, bytes bytea)`
  const write = (id: number) =>
    database.sql.begin(async (tx) => {
      await tx`insert into item values (${id}, ${randomBytes(8)})`
      return tx`select count(*) from item where id = ${id}`
    })
  await Promise.all(
    Array.from({ length: 100 }, (_, id) => database.within(id % 2 ? write(id) : database.sql`select ${id}::int`))
  )
  assert.equal((await database.sql`select from item`).length, 50)
})

test('in transaction mode, defaults that change meaning are refused with what to run', options, async (t) => {
  const { url } = await emptyTestDatabase(t)
  const name = new URL(url).pathname.slice(1)
  await asAdmin((admin) => admin.unsafe(`alter database ${name} set bytea_output = 'escape'`))
  const behind = await startPgBouncer(t, url, { pool_mode: 'transaction' })
  await assert.rejects(open(t, behind), (error: Error) => {
    assert.ok(error instanceof StartError)
    assert.match(error.message, /Run: alter role NAME set bytea_output = 'hex'; and have the pooler connect again/)
    return true
  })
  await assert.rejects(open(t, behind, 'transaction'), StartError)
})

test('in statement mode, the refusal names pool_mode', options, async (t) => {
  const { url } = await emptyTestDatabase(t)
  const behind = await startPgBouncer(t, url, { pool_mode: 'statement' })
  await assert.rejects(open(t, behind), /set its pool_mode to session or transaction/)
})

test(
  'a server without a pooler is known as one, and so is a pooler that turns its processes round',
  options,
  async (t) => {
    const { url } = await emptyTestDatabase(t)
    assert.equal((await open(t, url)).isPooledByTransaction, false)
    const behind = await startPgBouncer(t, url, { pool_mode: 'transaction', server_round_robin: '1' })
    assert.equal((await open(t, behind)).isPooledByTransaction, true)
  }
)
