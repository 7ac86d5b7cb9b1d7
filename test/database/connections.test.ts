import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openConnection } from '../../src/database/connect.ts'
import { targetOf } from '../../src/database/connection-string.ts'
import { type Database, DatabaseUnavailable, openDatabase } from '../../src/database/database.ts'
import type { Log } from '../../src/util/log.ts'
import { StartError } from '../../src/util/start-error.ts'
import { atEnd } from '../helpers/at-end.ts'
import {
  answers,
  asAdmin,
  createTestDatabase,
  emptyTestDatabase,
  startPostgres,
  temporaryDirectory
} from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'
import { inWords, sendSteadily } from '../helpers/steady-sender.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

interface Options {
  readonly poolSize?: number
  readonly deadlineMs?: number
  readonly log?: Log
}

async function open(t: TestContext, url: string | (() => string), options: Options = {}): Promise<Database> {
  const { poolSize = 4, deadlineMs = 5_000, log = silentLog } = options
  const database = await openDatabase({ url, dataDir: '/nonexistent', poolSize, deadlineMs }, log)
  atEnd(t, () => database.close())
  return database
}

/** How many of so many queries, all at once, are not answered. */
async function failures(database: Database, count = 40): Promise<number> {
  const outcomes = await Promise.allSettled(
    Array.from({ length: count }, () => database.within(database.sql`select pg_sleep(0.01)`))
  )
  return outcomes.filter(({ status }) => status === 'rejected').length
}

const hostsOf = (...urls: string[]): string => {
  const [first] = urls.map((url) => new URL(url))
  const hosts = urls.map((url) => new URL(url).host).join(',')
  return `postgres://${first!.username}:${first!.password}@${hosts}${first!.pathname}`
}

/** A role of its own, with a password. */
async function newRole(t: TestContext, url: string, options = ''): Promise<{ name: string; url: string }> {
  const name = `role_${randomBytes(4).toString('hex')}`
  await asAdmin((admin) => admin.unsafe(`create role ${name} login password 'first' ${options}`))
  atEnd(t, () => asAdmin((admin) => admin.unsafe(`drop role ${name}`)))
  return { name, url: Object.assign(new URL(url), { username: name, password: 'first' }).href }
}

test('with two hosts that are both up, or one of them down, every query is answered', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const nobody = 'postgres://u@127.0.0.1:1/x'
  for (const hosts of [hostsOf(url, url), `${hostsOf(url, nobody)}`, hostsOf(url, url).replace('@', '@127.0.0.1:1,')]) {
    assert.equal(await failures(await open(t, hosts)), 0)
  }
})

test('a server that only reads is passed over, and left when it takes no more writes', async (t) => {
  const [one, two] = [await startPostgres(t), await startPostgres(t)]
  const database = await open(t, hostsOf(one.url('postgres'), two.url('postgres')))
  const admin = { one: await open(t, one.url('postgres')), two: await open(t, two.url('postgres')) }
  const portOf = async () => (await database.within(database.sql`select inet_server_port() as port`))[0]!.port
  const turn = async (which: Database, value: string) => {
    await which.sql.unsafe(`alter system set default_transaction_read_only = ${value}`)
    await which.sql`select pg_reload_conf()`
  }
  const write = () => database.within(database.sql`create table if not exists item (id int)`)
  const isRefused = () =>
    write().then(
      () => false,
      (error: unknown) => error instanceof DatabaseUnavailable
    )
  assert.equal(await portOf(), one.port)
  await turn(admin.one, 'on')
  await until(
    'the first only reads',
    async () => (await admin.one.sql`show transaction_read_only`)[0]!.transaction_read_only === 'on'
  )
  await until('a write is refused', isRefused) // 25006: from now on the hosts are walked again
  await write()
  assert.equal(await portOf(), two.port)
  assert.equal(await failures(database), 0)
  await turn(admin.two, 'on')
  await until('a write is refused', isRefused)
  await assert.rejects(write(), /:\d+: it is set to read only; 127.*: it is set to read only$/)
})

test("a role's limit below the size of the pool means a smaller pool and one warning, and every query is answered", async (t) => {
  const { url } = await emptyTestDatabase(t)
  const role = await newRole(t, url, 'connection limit 2')
  const warnings: string[] = []
  const log: Log = { ...silentLog, warn: (_facts, message) => warnings.push(message) }
  const database = await open(t, role.url, { poolSize: 6, deadlineMs: 5_000, log })
  for (let round = 0; round < 3; round++) assert.equal(await failures(database), 0)
  assert.deepEqual(warnings, ['Postgres gives fewer connections than DATABASE_POOL_SIZE'])
  assert.equal(database.stats().connections, 2)
})

test('a connection that is ended from outside costs what ran on it, and nothing else', async (t) => {
  const { sql, url } = await emptyTestDatabase(t)
  const database = await open(t, url)
  assert.equal(await failures(database), 0)
  const running = Promise.allSettled(
    [1, 2, 3].map(() => database.within(database.sql`select pg_backend_pid() as pid, pg_sleep(3)`))
  )
  const busy = () => sql<{ pid: number }[]>`
    select pid from pg_stat_activity where state = 'active' and query like '%pg_sleep(3)%' and pid <> pg_backend_pid()
      and datname = current_database()`
  await until('three run', async () => (await busy()).length === 3)
  await sql`select pg_terminate_backend(${(await busy())[0]!.pid})`
  const outcomes = await running
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 1)
  assert.equal(await failures(database), 0)
})

test('a look-up whose connection is lost is asked once more, and nobody else is refused meanwhile', async (t) => {
  const { sql, url } = await emptyTestDatabase(t)
  const database = await open(t, url)
  const asked = database.ask(() => database.sql`select 1 as one, pg_sleep(2)`)
  const busy = () => sql<{ pid: number }[]>`
    select pid from pg_stat_activity where state = 'active' and query like '%pg_sleep(2)%' and pid <> pg_backend_pid()
      and datname = current_database()`
  await until('it runs', async () => (await busy()).length === 1)
  await sql`select pg_terminate_backend(${(await busy())[0]!.pid})`
  assert.equal((await asked)[0]!.one, 1)
  await database.ask(() => database.sql`select 1`)
})

test('a password that changes in its file is used for the next connection', async (t) => {
  const { sql, url } = await emptyTestDatabase(t)
  const role = await newRole(t, url)
  let current = role.url
  const database = await open(t, () => current)
  await asAdmin((admin) => admin.unsafe(`alter role ${role.name} password 'second'`))
  current = role.url.replace(':first@', ':second@')
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role.name}`
  await until('it is connected again', () => answers(database, 500))
  assert.equal(await failures(database), 0)
})

test('a relay goes on when its password is rotated: in the server, in its file, and then every connection is ended', async (t) => {
  const { sql, url } = await createTestDatabase(t)
  const role = await newRole(t, url, 'superuser')
  const file = join(await temporaryDirectory(t), 'database-url')
  await writeFile(file, role.url, { mode: 0o600 })
  const server = await startTestServer(t, { DATABASE_URL: '', DATABASE_URL_FILE: file })
  const { stats, stop } = await sendSteadily(server)
  await until('some are stored', () => stats.queued > 20)
  await asAdmin((admin) => admin.unsafe(`alter role ${role.name} password 'second'`))
  await writeFile(file, role.url.replace(':first@', ':second@'))
  const before = stats.queued
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role.name}`
  await until('it goes on', () => stats.queued > before + 50, 20_000)
  t.diagnostic(`rotation: ${inWords(await stop())}`)
  await server.close()
})

test('a password with characters that SASLprep maps is the one that psql sends', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const role = await newRole(t, url)
  await asAdmin((admin) => admin.unsafe(`alter role ${role.name} password 'I\u00adX \u2168'`))
  for (const password of ['I\u00adX \u2168', 'IX IX']) {
    const target = Object.assign(new URL(role.url), { password: encodeURIComponent(password) })
    assert.equal(await answers(await open(t, target.href, { poolSize: 1 }), 1_000), true)
  }
})

test('deadlocks and serialization failures are carried out again', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const database = await open(t, url, { poolSize: 8, deadlineMs: 20_000 })
  await database.sql`create table account (id int primary key, amount int)`
  await database.sql`insert into account values (1, 0), (2, 0)`
  let begun = 0
  const waiting: (() => void)[] = []
  const move = (first: number, second: number) =>
    database.sql.begin(async (tx) => {
      begun += 1
      await tx`update account set amount = amount + 1 where id = ${first}`
      if (begun <= 2) await new Promise<void>((resolve) => waiting.push(resolve))
      await tx`update account set amount = amount + 1 where id = ${second}`
    })
  const moves = Promise.all([move(1, 2), move(2, 1)])
  await until('both hold a row', () => waiting.length === 2)
  for (const go of waiting) go()
  await moves
  assert.deepEqual(
    (await database.sql`select amount from account order by id`).map(({ amount }) => amount),
    [2, 2]
  )
  const failing = database.sql.unsafe(`
    do $$ begin
      if nextval('tries') < 3 then raise exception using errcode = '40001'; end if;
    end $$`)
  await database.sql`create sequence tries`
  await failing
})

test('a database that is not there, or a wrong password, is one plain sentence at once', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const cases: [string, RegExp][] = [
    [Object.assign(new URL(url), { pathname: 'nowhere' }).href, /no database of that name/],
    [Object.assign(new URL(url), { password: 'wrong' }).href, /user name or the password is wrong/],
    [`${url}?sslmode=require`, /SSL|TLS/]
  ]
  for (const [target, reason] of cases.slice(0, 2)) {
    await assert.rejects(open(t, target), (error: Error) => {
      assert.ok(error instanceof StartError)
      assert.match(error.message, reason)
      return true
    })
  }
})

test('a server that stands still once the password is accepted is given up as one that does not answer', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const { hostname, port } = new URL(url)
  const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname)
    let stands = false
    client.on('data', (chunk) => stands || server.write(chunk))
    server.on('data', (chunk) => {
      stands ||= chunk.includes(readyForQuery)
      client.write(chunk)
    })
    for (const [from, to] of [[client, server] as const, [server, client] as const]) {
      from.on('error', () => {})
      from.on('close', () => to.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  atEnd(t, () => proxy.close())
  const through = Object.assign(new URL(url), { hostname: '127.0.0.1', port: (proxy.address() as AddressInfo).port })
  const attempt = openConnection({
    target: targetOf(`${through}?connect_timeout=1`)(),
    pooler: 'none',
    statementMs: 1_000
  })
  const outcome = await Promise.race([attempt.catch((error: Error) => error.message), delay(20_000, 'it still waits')])
  assert.match(String(outcome), /^127\.0\.0\.1:\d+: no answer$/)
})
