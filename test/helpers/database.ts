import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import type { Database } from '../../src/database/database.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts'
import { goneWithin } from '../../src/database/embedded/process-identity.ts'
import { Pool, type Sql } from '../../src/database/pool.ts'
import type { Log } from '../../src/util/log.ts'
import { atEnd, type Scope } from './at-end.ts'
import { processTree, signalTree } from './processes.ts'
import { ADMIN_URL, putCluster, silentLog, TEMPLATE, TEST_HOME } from './test-cluster.ts'

/** Environment variable with what is set for every database that a test makes: JSON, by the name of the setting. */
export const SETTINGS = 'DEMOS_RELAY_TEST_SETTINGS'

export interface TestDatabase {
  /** Connection string for a server under test. */
  url: string
  /** For the test's own looks and preparations. */
  sql: Sql
}

/** A database of its own with the current schema. Dropped after the test, whoever is still connected. */
export function createTestDatabase(t: Scope): Promise<TestDatabase> {
  return newDatabase(t, TEMPLATE)
}

/** A database of its own with nothing in it. */
export function emptyTestDatabase(t: Scope): Promise<TestDatabase> {
  return newDatabase(t, 'template1')
}

async function newDatabase(t: Scope, template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`
  await asAdmin(async (admin) => {
    // One copy at a time: each is a burst of file writes, and template1 may not be copied twice at once.
    await admin`select pg_advisory_lock(1)`
    await admin`create database ${admin(name)} template ${admin(template)} strategy file_copy`
    const settings = JSON.parse(process.env[SETTINGS] ?? '{}') as Record<string, string>
    for (const [setting, value] of Object.entries(settings)) {
      await admin.unsafe(`alter database ${name} set ${setting} = '${value.replaceAll("'", "''")}'`)
    }
  })
  const url = new URL(adminUrl())
  url.pathname = name
  const pool = new Pool({ url: url.href, size: 4, statementMs: 30_000, log: silentLog })
  atEnd(t, async () => {
    await pool.end(1_000)
    await asAdmin((admin) => admin`drop database ${admin(name)} with (force)`)
  })
  return { url: url.href, sql: pool.sql }
}

/** As the superuser of the cluster. */
export async function asAdmin(work: (admin: postgres.Sql) => PromiseLike<unknown>): Promise<void> {
  const admin = postgres(adminUrl(), { max: 1, fetch_types: false, onnotice: () => {} })
  try {
    await work(admin)
  } finally {
    await admin.end({ timeout: 1 })
  }
}

function adminUrl(): string {
  const url = process.env[ADMIN_URL]
  if (!url) throw new Error('this test needs the database that the test runner starts: run it by `npm test -- <file>`')
  return url
}

/** Does a trivial query answer within `ms`? */
export const answers = (database: Database, ms: number): Promise<boolean> =>
  database.within(database.urgent`select 1`, ms).then(
    () => true,
    () => false
  )

/** A directory of its own, removed after the test. */
export async function temporaryDirectory(t: Scope): Promise<string> {
  const directory = await mkdtemp(join(process.env[TEST_HOME] ?? tmpdir(), 'demos-relay-'))
  await chmod(directory, 0o711) // run by root, Postgres is another user who has to pass here
  atEnd(t, () => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  return directory
}

/** A data directory with a cluster in it, as an earlier start has left it. */
export async function usedDataDirectory(t: Scope): Promise<string> {
  const directory = await temporaryDirectory(t)
  await putCluster(directory)
  return directory
}

/** A Postgres for tests that stop or kill it. It does not restart by itself. */
export interface PrivatePostgres {
  readonly port: number
  url(database?: string): string
  /** kill -9, and waits until it is gone. */
  kill(): Promise<void>
  stop(): Promise<void>
  /** Starts it again, on the same port. */
  start(): Promise<void>
  /** Stops all its processes where they stand (SIGSTOP), as a machine that hangs. */
  freeze(): void
  thaw(): void
}

export async function startPostgres(
  t: Scope,
  options: { settings?: Record<string, string>; log?: Log; home?: string } = {}
): Promise<PrivatePostgres> {
  const home = options.home ?? (await temporaryDirectory(t))
  await putCluster(home)
  const settings = { shared_buffers: '16MB', max_connections: '50', ...options.settings }
  const open = (port?: number): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres(home, options.log ?? silentLog, {
      settings,
      restart: false,
      ...(port === undefined ? {} : { port })
    })
  let server = await open()
  const port = server.port
  const signal = (name: NodeJS.Signals) => {
    const pid = server.pid()
    if (pid !== undefined) signalTree(pid, name)
  }
  atEnd(t, () => {
    signal('SIGCONT')
    return server.stop()
  })
  return {
    port,
    url: (database) => server.url(database),
    kill: async () => {
      const everyone = processTree(server.pid() ?? 0)
      process.kill(everyone[0]!, 'SIGKILL')
      await Promise.all(everyone.map((pid) => goneWithin(pid, 5_000)))
      await server.stop()
    },
    stop: () => server.stop(),
    start: async () => {
      server = await open(port)
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT')
  }
}
