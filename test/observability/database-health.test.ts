import assert from 'node:assert/strict'
import { chmod } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { createTestDatabase, startPostgres, temporaryDirectory } from '../helpers/database.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

const ready = async ({ app }: TestServer) => {
  const began = performance.now()
  const answer = (await app.inject('/health/ready')).json()
  const ms = performance.now() - began
  return { ms, status: answer.status, failing: answer.failing ?? [], details: answer.details }
}

const reasonOf = async (server: TestServer, part: string) =>
  (await ready(server)).failing.find((each: { part: string }) => each.part === part)?.reason

/** Waits until a part fails for this reason; then it does so every time, and readiness answers within a second. */
async function failsFor(server: TestServer, part: string, reason: string): Promise<void> {
  await until(
    () => `${part} fails: ${reason}`,
    async () => (await reasonOf(server, part)) === reason
  )
  for (let probe = 0; probe < 3; probe++) {
    const { ms, failing } = await ready(server)
    assert.ok(
      failing.some((each: object) => JSON.stringify(each) === JSON.stringify({ part, reason })),
      JSON.stringify(failing)
    )
    assert.ok(ms < 1_000, `${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 260)) // longer than a result is shared
  }
}

const isReady = async (server: TestServer) => (await ready(server)).status === 'ok'

test('a ready server names its parts, and what it knows of the database', async (t) => {
  const server = await startTestServer(t)
  const answer = (await server.app.inject('/health/ready')).json()
  for (const part of ['database', 'writes', 'schema', 'files', 'audit']) assert.equal(answer.parts[part], 'ok', part)
  const { role, postgres, embedded } = answer.details.database
  assert.deepEqual([role, postgres >= 15, embedded], ['primary', true, false])
})

test('while a table is locked, readiness says so, and no longer', async (t) => {
  const database = await createTestDatabase(t)
  const server = await startTestServer(t, { DATABASE_URL: database.url })
  for (const table of ['queue_entry', 'audit_inbox']) {
    const holder = await database.sql.reserve()
    await holder`begin`
    await holder.unsafe(`lock table ${table} in access exclusive mode`)
    await failsFor(server, 'writes', 'a table is locked')
    await holder`rollback`
    holder.release()
    await until('it is ready again', () => isReady(server))
  }
})

test('a server that turns to read only is named as one', async (t) => {
  const postgres = await startPostgres(t)
  const server = await startTestServer(t, { DATABASE_URL: postgres.url('postgres') })
  const { sql } = await createAdmin(t, postgres.url('postgres'))
  await sql`select 1`
  const turn = async (value: string) => {
    await sql.unsafe(`alter system set default_transaction_read_only = ${value}`)
    await sql`select pg_reload_conf()`
  }
  await turn('on')
  await failsFor(server, 'writes', 'the server is set to read only')
  await turn('off')
  await until('it is ready again', () => isReady(server))
})

test('whatever hangs, readiness answers within a second', async (t) => {
  const postgres = await startPostgres(t)
  const server = await startTestServer(t, { DATABASE_URL: postgres.url('postgres') })
  postgres.freeze()
  await failsFor(server, 'writes', 'no answer within 800 ms')
  postgres.thaw()
  await until('it is ready again', () => isReady(server), 20_000)
})

test('a newer migration that breaks is named, one that does not is passed over, and messages flow in both', async (t) => {
  const server = await startTestServer(t)
  const { sql } = server.app.database
  const alice = await server.join('alice')
  const send = async () => {
    alice.send({ type: 'message', payload: { targetId: 'away', message: {} }, timestamp: 1 })
    await alice.next('message_queued')
  }
  await sql`insert into schema_migration (version, name, checksum) values (9001, '9001_more.sql', '')`
  assert.equal(await isReady(server), true)
  await send()
  await sql`insert into schema_migration (version, name, checksum, breaks) values (9002, '9002_other.sql', '', true)`
  await until('it says so', async () => (await reasonOf(server, 'schema')) !== undefined, 8_000)
  assert.match(await reasonOf(server, 'schema'), /^a newer version has migrated the database/)
  await send()
})

test('a database that lost a migration, as one that was restored from an old backup, is named', async (t) => {
  const server = await startTestServer(t)
  const { sql } = server.app.database
  await sql`delete from schema_migration where version = (select max(version) from schema_migration)`
  const reason = 'the database is older than this server, restored perhaps: start it again'
  await until('it says so', async () => (await reasonOf(server, 'schema')) === reason, 8_000)
})

test('a disk that was full is probed with more than what is free already', async (t) => {
  const server = await startTestServer(t)
  const { database } = server.app
  database.isDiskFull = true
  await until('the write went through', async () => (await isReady(server)) && !database.isDiskFull, 5_000)
})

test('a data directory that takes no writes is named', {
  skip: process.getuid?.() === 0 && 'root may write anywhere'
}, async (t) => {
  const dataDir = await temporaryDirectory(t)
  const server = await startTestServer(t, { DATA_DIR: dataDir })
  await chmod(dataDir, 0o500)
  await until('it says so', async () => (await reasonOf(server, 'files')) !== undefined, 8_000)
  await chmod(dataDir, 0o700)
})

async function createAdmin(t: TestContext, url: string) {
  const { Pool } = await import('../../src/database/pool.ts')
  const { silentLog } = await import('../helpers/test-cluster.ts')
  const pool = new Pool({ url, size: 1, statementMs: 5_000, log: silentLog })
  t.after(() => pool.end(0))
  return pool
}
