import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type Database, DatabaseUnavailable, openDatabase } from '../../src/database/database.ts'
import type { Log } from '../../src/util/log.ts'
import { atEnd } from '../helpers/at-end.ts'
import { answers, emptyTestDatabase, startPostgres } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

async function open(t: TestContext, url: string, options: { deadlineMs?: number; poolSize?: number; log?: Log } = {}) {
  const { deadlineMs = 1_000, poolSize = 3, log = silentLog } = options
  const database = await openDatabase({ url, dataDir: '/nonexistent', poolSize, deadlineMs }, log)
  atEnd(t, () => database.close())
  return database
}

/** Waits until the database answers again; returns how long that took, in ms. */
async function recovery(database: Database, limitMs: number): Promise<number> {
  const start = performance.now()
  await until('the database answers again', () => answers(database, 250), limitMs)
  return performance.now() - start
}

/** Runs short transactions all the time, until told to stop. Every one of them must be answered, with yes or no. */
function underLoad(t: TestContext, database: Database) {
  let stopping = false
  const result = { good: 0, bad: [] as unknown[] }
  const worker = async () => {
    while (!stopping) {
      const work = database.sql.begin(async (tx) => {
        await tx`select 1`
        await tx`select pg_sleep(0.002), ${'x'}::text`
      })
      await database.within(work).then(
        () => result.good++,
        (error) => result.bad.push(error)
      )
      await delay(1)
    }
  }
  const workers = Array.from({ length: 8 }, worker)
  const done = async () => {
    stopping = true
    await Promise.all(workers)
    return result
  }
  atEnd(t, done)
  return {
    done,
    /** Waits until so many more have been answered, or refused. */
    hears: (what: 'good' | 'bad', count: number) => {
      const heard = () => (what === 'good' ? result.good : result.bad.length)
      const before = heard()
      return until(`${count} more ${what} answers`, () => heard() >= before + count)
    }
  }
}

function failOnStrayErrors(t: TestContext): void {
  const stray: unknown[] = []
  const note = (error: unknown) => stray.push(error)
  process.on('unhandledRejection', note).on('uncaughtException', note)
  atEnd(t, async () => {
    await delay(50)
    process.off('unhandledRejection', note).off('uncaughtException', note)
    assert.deepEqual(stray, [])
  })
}

test('a query answers within its deadline, and an error of Postgres stays what it is', async (t) => {
  const database = await open(t, (await emptyTestDatabase(t)).url)
  assert.equal(database.embedded, false)
  assert.deepEqual([...(await database.within(database.sql`select 1 as one`))], [{ one: 1 }])
  await assert.rejects(database.within(database.sql`select 1 / 0`), { name: 'PostgresError', code: '22012' })
})

test('a session is named, durable and limited in time', async (t) => {
  const { sql } = await open(t, (await emptyTestDatabase(t)).url, { deadlineMs: 1_500 })
  const [row] = await sql`
    select current_setting('application_name') as name, current_setting('synchronous_commit') as durable,
      current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock`
  assert.deepEqual({ ...row }, { name: 'demos-relay', durable: 'on', statement: '1500ms', lock: '1500ms' })
})

test('a query past the deadline is given up here, and by Postgres', async (t) => {
  failOnStrayErrors(t)
  const { sql, url } = await emptyTestDatabase(t)
  const database = await open(t, url, { deadlineMs: 300 })
  await assert.rejects(database.within(database.sql`select pg_sleep(60)`, 100), DatabaseUnavailable)
  const running = () => sql`select from pg_stat_activity where state = 'active' and query like '%pg_sleep(60)'`
  await until('Postgres gives it up', async () => (await running()).length === 0, 5_000)
  assert.equal(await answers(database, 1_000), true)
})

test('a violated constraint does not quote the row', async (t) => {
  const database = await open(t, (await emptyTestDatabase(t)).url)
  await database.sql`create table parcel (sealed text check (length(sealed) < 3))`
  await assert.rejects(database.within(database.sql`insert into parcel values (${'secret'})`), (error: Error) => {
    assert.doesNotMatch(JSON.stringify(error) + error.message + error.stack, /secret/)
    return true
  })
})

test('a Postgres that is frozen is noticed at the deadline, and used again when it thaws', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url(), { deadlineMs: 300 })
  const load = underLoad(t, database)
  await load.hears('good', 20)
  postgres.freeze()
  const start = performance.now()
  await assert.rejects(database.within(database.sql`select 1`), DatabaseUnavailable)
  assert.ok(performance.now() - start < 600)
  assert.equal(await answers(database, 100), false)
  await load.hears('bad', 24)
  postgres.thaw()
  assert.ok((await recovery(database, 5_000)) < 5_000)
  const { good, bad } = await load.done()
  assert.ok(good > 0)
  assert.ok(bad.every((error) => error instanceof DatabaseUnavailable))
})

test('a connection that was reserved too late for its caller is closed', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url(), { deadlineMs: 300 })
  const held = await database.reserve()
  const before = database.stats().connections
  /** Sessions that there are, and those that there have ever been, as far as they were counted. */
  const sessions = async () => {
    const [row] = await database.sql<{ now: number; ever: number }[]>`
      select (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as now,
        (select sum(sessions)::int from pg_stat_database) as ever`
    return row!
  }
  const { ever } = await sessions()
  postgres.freeze()
  await Promise.all([1, 2, 3].map(() => assert.rejects(database.reserve(), DatabaseUnavailable)))
  postgres.thaw()
  await recovery(database, 5_000)
  await until('the late ones have come', async () => (await sessions()).ever >= ever + 3)
  await until('they are closed', async () => (await sessions()).now === before)
  assert.equal(database.stats().connections, before)
  held.release()
})

test('who asks one thing after the other waits one deadline while Postgres is frozen, and is answered when it thaws', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url(), { deadlineMs: 300 })
  let asked = 0
  const ask = () =>
    database.ask(() => {
      asked += 1
      return database.sql`select 1`
    })
  await ask()
  postgres.freeze()
  for (let n = 0; n < 10; n++) await assert.rejects(ask(), DatabaseUnavailable)
  assert.equal(asked, 2)
  postgres.thaw()
  await recovery(database, 5_000)
  await ask()
  assert.equal(asked, 3)
})

test('who has less patience than the deadline fails alone: others go on asking', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url(), { deadlineMs: 20_000 })
  await database.sql`select 1`
  postgres.freeze()
  await assert.rejects(database.within(database.sql`select 1`, 50), DatabaseUnavailable)
  assert.equal(await answers(database, 50), false)
  const asked = database.ask(() => database.sql`select 1 as one`)
  postgres.thaw()
  assert.deepEqual([...(await asked)], [{ one: 1 }])
})

test('a Postgres that is killed and started again is used again at once, under load', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url())
  for (let round = 0; round < 3; round++) {
    const load = underLoad(t, database)
    await load.hears('good', 20)
    await postgres.kill()
    assert.equal(await answers(database, 500), false)
    await postgres.start()
    assert.ok((await recovery(database, 3_000)) < 3_000)
    const { good, bad } = await load.done()
    assert.ok(good > 0)
    assert.deepEqual(
      bad.filter((error) => !(error instanceof DatabaseUnavailable)),
      []
    )
  }
})

test('a Postgres that is shut down for a while is used again', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url())
  await postgres.stop()
  for (let n = 0; n < 2; n++) await assert.rejects(database.within(database.sql`select 1`), DatabaseUnavailable)
  await postgres.start()
  assert.ok((await recovery(database, 2_000)) < 2_000)
})

test('a connection that is cut in the middle of a transaction fails that transaction and nothing else', async (t) => {
  failOnStrayErrors(t)
  const { sql, url } = await emptyTestDatabase(t)
  const proxy = await startProxy(t, url)
  const database = await open(t, proxy.url, { poolSize: 1 })
  const sleeping = () => sql`
    select from pg_stat_activity where state = 'active' and query = 'select pg_sleep(0.5)' and datname = current_database()`
  for (let round = 0; round < 3; round++) {
    const work = database.sql.begin(async (tx) => {
      await tx`select 1`
      await tx`select pg_sleep(0.5)`
    })
    await until('it is in the middle', async () => (await sleeping()).length > 0)
    proxy.cut()
    await assert.rejects(database.within(work), DatabaseUnavailable)
    assert.ok((await recovery(database, 2_000)) < 2_000)
  }
})

test('what a transaction still does after its connection was lost never happens', async (t) => {
  failOnStrayErrors(t)
  const { sql, url } = await emptyTestDatabase(t)
  await sql`create table parcel (id int)`
  const database = await open(t, url, { deadlineMs: 3_000, poolSize: 2 })
  const others = underLoad(t, database)
  const work = database.sql.begin(async (tx) => {
    const [{ pid } = { pid: 0 }] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`
    await tx`insert into parcel values (1)`
    await sql`select pg_terminate_backend(${pid})`
    await others.hears('good', 50) // the pool connects again and other queries come by
    await tx`insert into parcel values (2)`.catch(() => {})
    await tx`insert into parcel values (3)`
  })
  await assert.rejects(database.within(work), DatabaseUnavailable)
  const { bad } = await others.done()
  assert.deepEqual(
    bad.filter((error) => !(error instanceof DatabaseUnavailable)),
    []
  )
  assert.deepEqual([...(await sql`select id from parcel`)], [])
})

test('a server that closes every connection at once is waited for without a storm of attempts', async (t) => {
  failOnStrayErrors(t)
  const { url } = await emptyTestDatabase(t)
  const proxy = await startProxy(t, url)
  const database = await open(t, proxy.url, { deadlineMs: 500 })
  proxy.behaviour = 'hang up'
  proxy.cut()
  const before = proxy.accepted
  await Promise.all(Array.from({ length: 20 }, () => assert.rejects(database.within(database.sql`select 1`))))
  await delay(500)
  assert.ok(proxy.accepted - before < 30, `${proxy.accepted - before} connections`)
  proxy.behaviour = 'pass'
  assert.ok((await recovery(database, 3_000)) < 3_000)
})

test('connections over a network that swallows everything are given up after three deadlines', async (t) => {
  failOnStrayErrors(t)
  const { url } = await emptyTestDatabase(t)
  const proxy = await startProxy(t, url)
  const database = await open(t, proxy.url, { deadlineMs: 200 })
  proxy.swallow()
  assert.ok((await recovery(database, 4_000)) > 200)
})

test('a session lock has a connection of its own, which ends with it', async (t) => {
  const { sql, url } = await emptyTestDatabase(t)
  const database = await open(t, url)
  const holder = await database.sql.reserve()
  await holder`select pg_advisory_lock(7)`
  const locked = () =>
    sql`select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`
  assert.equal((await locked()).length, 1)
  holder.release()
  await until('it is free', async () => (await locked()).length === 0)
})

test('no password appears in an error or in the log', async (t) => {
  const lines: unknown[] = []
  const note = (facts: object, message: string) => {
    const { err } = facts as { err?: Error & { cause?: Error } }
    lines.push(message, facts, err?.message, err?.stack, err?.cause?.message, err?.cause)
  }
  const log: Log = { debug: note, info: note, warn: note, error: note }
  const target = new URL((await emptyTestDatabase(t)).url)
  target.password = 'hunter2'
  for (const url of [target.href, 'postgres://relay:hunter2@[broken/relay', 'postgres://relay:hunter2@host:port/x']) {
    await assert.rejects(open(t, url, { log }), (error: Error) => {
      note({ err: error }, error.name)
      return true
    })
  }
  assert.doesNotMatch(JSON.stringify(lines), /hunter2/)
})

test('closing twice, or while queries run, ends in bounded time', async (t) => {
  failOnStrayErrors(t)
  const postgres = await startPostgres(t)
  const database = await open(t, postgres.url(), { deadlineMs: 30_000 })
  const running = assert.rejects(database.within(database.sql`select pg_sleep(30)`))
  const active = () => database.sql`
    select from pg_stat_activity where state = 'active' and query = 'select pg_sleep(30)'`
  await until('it runs', async () => (await active()).length > 0)
  postgres.freeze()
  const start = performance.now()
  await Promise.all([database.close(), database.close()])
  assert.ok(performance.now() - start < 8_000)
  await running
  await assert.rejects(database.within(database.sql`select 1`), DatabaseUnavailable)
})

/** Stands between the pool and Postgres, to behave as a bad network does. */
async function startProxy(t: TestContext, target: string) {
  const { hostname, port } = new URL(target)
  const open = new Set<Socket>()
  const proxy = {
    url: '',
    accepted: 0,
    behaviour: 'pass' as 'pass' | 'hang up',
    cut: () => open.forEach((socket) => void socket.destroy()),
    /** What is connected now stays connected, and nothing comes through any more. */
    swallow: () => open.forEach((socket) => void socket.removeAllListeners('data').resume())
  }
  const server = createServer((client) => {
    proxy.accepted++
    client.on('error', () => {})
    if (proxy.behaviour === 'hang up') return client.end()
    const upstream = connect(Number(port), hostname).on('error', () => {})
    for (const [from, to] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      open.add(from)
      from.on('data', (chunk: Buffer) => to.write(chunk)).on('close', () => to.destroy())
    }
    return undefined
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as { port: number }
  const url = new URL(target)
  url.host = `127.0.0.1:${address.port}`
  proxy.url = url.href
  atEnd(t, () => {
    server.close()
    proxy.cut()
  })
  return proxy
}

test('a start whose first question is not answered in time waits on, says so, and ends when it is stopped', async (t) => {
  const postgres = await startPostgres(t)
  postgres.freeze()
  const stop = new AbortController()
  const reasons: unknown[] = []
  const warn = (facts: object, message: string) => {
    if (message !== 'waiting for Postgres') return
    reasons.push((facts as { reason: unknown }).reason)
    stop.abort()
  }
  const settings = {
    url: postgres.url(),
    pooler: 'session',
    dataDir: '/nonexistent',
    poolSize: 1,
    deadlineMs: 50
  } as const
  const opening = openDatabase({ ...settings, stopped: stop.signal }, { ...silentLog, warn })
  await assert.rejects(opening, { name: 'StartError', message: 'the server was stopped before it had started' })
  assert.deepEqual(reasons, ['Postgres did not answer within 50 ms'])
})
