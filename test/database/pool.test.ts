import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Pool } from '../../src/database/pool.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { emptyTestDatabase } from '../helpers/database.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

/** A pool of two connections, both open, and one of them busy with a long statement. */
async function poolWithLongStatement(t: Scope) {
  const { url } = await emptyTestDatabase(t)
  const pool = new Pool({ url, size: 2, statementMs: 5_000, log: silentLog })
  atEnd(t, () => pool.end(0))
  const { sql } = pool
  await sql`create table item (id int)`
  await Promise.all([sql`select pg_sleep(0.05)`, sql`select pg_sleep(0.05)`])
  const finished: string[] = []
  const noted = <T>(name: string, work: PromiseLike<T>) => work.then(() => finished.push(name))
  return { sql, finished, noted, long: noted('long', sql`select pg_sleep(1)`) }
}

test('a statement never waits behind a long one while another connection comes free', async (t) => {
  const { sql, finished, noted, long } = await poolWithLongStatement(t)
  const short = Array.from({ length: 20 }, (_, id) => noted('short', sql`insert into item values (${id})`))
  await Promise.all([long, ...short])
  assert.equal(finished.at(-1), 'long')
})

test('a transaction never waits behind a long statement while another connection comes free', async (t) => {
  const { sql, finished, noted, long } = await poolWithLongStatement(t)
  const insert = (id: number) =>
    sql.begin(async (tx) => {
      await tx`insert into item values (${id})`
      await tx`select pg_sleep(0.001)`
    })
  const transactions = Array.from({ length: 10 }, (_, id) => noted('transaction', insert(id)))
  await Promise.all([long, ...transactions])
  assert.equal(finished.at(-1), 'long')
  const [row] = await sql<{ count: number }[]>`select count(*) from item`
  assert.equal(row?.count, 10)
})

test('statements run in the order they were asked for, and a fragment is no statement of its own', async (t) => {
  const { sql, noted, finished, long } = await poolWithLongStatement(t)
  const values = (id: number) => sql`values (${id})`
  const work = Array.from({ length: 10 }, (_, id) => noted(String(id), sql`insert into item ${values(id)}`))
  await Promise.all([long, ...work])
  assert.deepEqual(finished, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'long'])
})

test('a statement that waits when a connection is lost runs on a new one', async (t) => {
  const { sql: admin, url } = await emptyTestDatabase(t)
  const pool = new Pool({ url, size: 1, statementMs: 5_000, log: silentLog })
  atEnd(t, () => pool.end(0))
  const [backend] = await pool.sql<{ pid: number }[]>`select pg_backend_pid() as pid`
  const long = assert.rejects(pool.sql`select pg_sleep(30)`.execute())
  const waiting = pool.sql<{ pid: number }[]>`select pg_backend_pid() as pid`.execute()
  while (
    (await admin`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(30)'`).count < 1
  );
  await long
  const [other] = await waiting
  assert.notEqual(other?.pid, backend?.pid)
})

test('a transaction whose connection is lost in the middle of its first statement fails, and what waits runs', async (t) => {
  const { sql: admin, url } = await emptyTestDatabase(t)
  const pool = new Pool({ url, size: 1, statementMs: 30_000, log: silentLog })
  atEnd(t, () => pool.end(0))
  // With a parameter the driver asks what type it has, and queues the rollback behind the answer.
  const lost = assert.rejects(
    pool.sql.begin((tx) => tx`select pg_sleep(${30}::int)`),
    { name: 'ConnectionLost' }
  )
  const waiting = pool.sql`select 1`.execute()
  const end = () =>
    admin`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep($1::int)'`.execute()
  await until('the statement runs', async () => (await end()).count > 0)
  await Promise.all([lost, waiting])
})

test('a statement whose caller has given up by the time a connection is free never runs', async (t) => {
  const { sql: admin, url } = await emptyTestDatabase(t)
  await admin`create table item (id int)`
  const pool = new Pool({ url, size: 1, statementMs: 200, log: silentLog })
  atEnd(t, () => pool.end(0))
  const long = pool.sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`select pg_sleep(0.5)`
  })
  await assert.rejects(pool.sql`insert into item values (1)`, { name: 'ConnectionLost' })
  await long
  await pool.sql`insert into item values (2)`
  assert.deepEqual([...(await admin`select id from item`)], [{ id: 2 }])
})

test('a transaction whose process stands still holds its locks for two deadlines, and no longer', async (t) => {
  const { sql: admin, url } = await emptyTestDatabase(t)
  await admin`create table item (id int)`
  await admin`insert into item values (1)`
  const pool = new Pool({ url, size: 1, statementMs: 500, log: silentLog })
  atEnd(t, () => pool.end(0))
  await new Promise<void>((isLocked) => {
    const still = pool.sql.begin(async (tx) => {
      await tx`update item set id = 2`
      isLocked()
      await new Promise(() => {})
    })
    still.catch(() => {})
  })
  await admin`set lock_timeout = '20s'` // the test's own patience
  await admin`update item set id = 3`
  assert.deepEqual([...(await admin`select id from item`)], [{ id: 3 }])
})

test('Postgres looks after a minute whether the machine of a connection is there still', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const pool = new Pool({ url, size: 1, statementMs: 500, log: silentLog })
  atEnd(t, () => pool.end(0))
  const [row] = await pool.sql<{ seconds: number }[]>`
    select current_setting('tcp_keepalives_idle')::int
      + current_setting('tcp_keepalives_interval')::int * current_setting('tcp_keepalives_count')::int as seconds`
  assert.equal(row?.seconds, 60)
})

test('what a query held does not reach the old generation, where it would stay until a major collection', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const command = ['--expose-gc', ...OWN_OPTIONS, ownFile('test/database/query-memory.ts'), url]
  const { stdout } = await promisify(execFile)(process.execPath, command)
  const { alone, together } = JSON.parse(stdout) as { alone: number; together: number }
  assert.ok(alone < 500 && together < 500, `${alone} bytes for each query, ${together} in a transaction`)
})
