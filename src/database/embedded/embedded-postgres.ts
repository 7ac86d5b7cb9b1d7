import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import type { Log } from '../../util/log.ts'
import { StartError } from '../../util/start-error.ts'
import { DataDirectoryInUse, lockDataDirectory } from './data-directory-lock.ts'
import { type Account, ensureReachable, postgresAccount, requireName } from './postgres-account.ts'
import {
  findPrograms,
  NotFreeYet,
  type PostgresPrograms,
  type RunningPostgres,
  runProgram,
  startProcess
} from './postgres-process.ts'
import { goneWithin, isPostgresOn, processIdentity } from './process-identity.ts'

const USER = 'demos_relay'
const DATABASE = 'demos_relay'
/** Major version of the embedded Postgres. */
export const MAJOR = '18'
/** Above every system's largest process id (Linux: 2^22), so no process has it. */
const UNUSED_PID = '99999999'

/** Durable; modest in memory, as it shares a machine with us. Names: PostgreSQL 18, "Server Configuration". */
const SETTINGS: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '128MB',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  autovacuum: 'on',
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  timezone: 'UTC',
  lc_messages: 'C',
  log_destination: 'stderr',
  logging_collector: 'off',
  log_line_prefix: '',
  // Row contents and statements stay out of the log: they hold sealed messages.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic'
}

export interface EmbeddedPostgres {
  readonly port: number
  /** Connection string, with its password: never log it. */
  url(database?: string): string
  /** Process id of the running server, undefined while it is being restarted. */
  pid(): number | undefined
  /** Stops it and gives the data directory back. At most about 15 seconds. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  /** Postgres settings that differ from ours. */
  settings?: Record<string, string>
  /** Start it again when it dies. Default true. */
  restart?: boolean
  /** How long a data directory that is in use is waited for, ms: its server may just be ending. */
  lockWaitMs?: number
  /** Fixed port instead of a free one. */
  port?: number
}

interface Cluster {
  directory: string
  password: string
  account: Account
  programs: PostgresPrograms
  settings: Record<string, string>
  log: Log
}

/**
 * Runs PostgreSQL under `dataDir`/postgres until `stop()`. A first start makes the cluster; later ones recover it if
 * need be. One process owns a data directory: a second one gets `DataDirectoryInUse`. Listens on 127.0.0.1 only.
 */
export async function startEmbeddedPostgres(
  dataDir: string,
  log: Log,
  options: EmbeddedOptions = {}
): Promise<EmbeddedPostgres> {
  await mkdir(dataDir, { recursive: true })
  const home = await realpath(resolve(dataDir))
  const unlock = await lockPatiently(home, options.lockWaitMs ?? LOCK_WAIT_MS)
  try {
    const cluster = await prepareCluster(home, { ...SETTINGS, ...options.settings }, log)
    await stopOrphan(cluster.directory, log)
    const { port, running } = await startOnSomePort(cluster, options.port)
    const url = (database?: string) => embeddedUrl(cluster.password, port, database)
    const keeper = keepRunning(cluster, port, running, options.restart ?? true)
    try {
      await createDatabase(url('postgres'))
    } catch (error) {
      await keeper.stop()
      throw error
    }
    log.info({ port, pid: running.pid, dataDir: home }, 'embedded Postgres is running')
    const stop = () => keeper.stop().finally(unlock)
    return { port, url, pid: keeper.pid, stop }
  } catch (error) {
    unlock()
    throw error
  }
}

/** After a kill, the process is there for a moment, and is in the way of the next one. */
const LOCK_WAIT_MS = 3_000

async function lockPatiently(home: string, ms: number): Promise<() => void> {
  const end = performance.now() + ms
  for (;;) {
    try {
      return lockDataDirectory(home)
    } catch (error) {
      if (!(error instanceof DataDirectoryInUse) || performance.now() > end) throw error
      await delay(100)
    }
  }
}

/** Connection string of an embedded Postgres, with its password: never log it. */
export const embeddedUrl = (password: string, port: number, database = DATABASE) =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`

/** Finds or makes the cluster. It is made beside its place and moved there whole, in case a first start is interrupted. */
async function prepareCluster(home: string, settings: Record<string, string>, log: Log): Promise<Cluster> {
  const directory = join(home, 'postgres')
  const account = await postgresAccount(directory, log)
  await ensureReachable(home, account, true)
  const cluster = { directory, account, programs: await findPrograms(account), settings, log }
  const exists = existsSync(join(directory, 'PG_VERSION'))
  const password = await clusterPassword(home, exists)
  if (!exists) await makeCluster(home, { ...cluster, password })
  const version = (await readFile(join(directory, 'PG_VERSION'), 'utf8')).trim()
  if (version !== MAJOR) {
    throw new StartError(
      `${directory} was made by PostgreSQL ${version}, this is ${MAJOR}: dump it with the old version first`
    )
  }
  return { ...cluster, password }
}

async function clusterPassword(home: string, exists: boolean): Promise<string> {
  const file = join(home, 'postgres-password')
  const kept = await readFile(file, 'utf8').catch(() => '')
  if (kept.trim()) return kept.trim()
  if (exists) throw new StartError(`${file} is missing: the embedded Postgres beside it cannot be opened without it`)
  const password = randomBytes(24).toString('hex')
  await writeFile(file, `${password}\n`, { mode: 0o600, flush: true })
  return password
}

async function makeCluster(home: string, { directory, account, programs, password, log }: Cluster): Promise<void> {
  requireName(account)
  log.info({ directory }, 'first start: making a Postgres cluster')
  const unfinished = `${directory}.new`
  const passwordFile = join(home, 'postgres-password.new')
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
    if (account.uid !== undefined) {
      await chown(unfinished, account.uid, account.gid ?? account.uid)
      await chown(passwordFile, account.uid, account.gid ?? account.uid)
    }
    await runProgram(programs.initdb, initdbArguments(unfinished, passwordFile), account, log)
  } finally {
    await rm(passwordFile, { force: true })
  }
  await rename(unfinished, directory)
}

/** The builtin locale sorts by code point and does not change when the operating system is upgraded. */
function initdbArguments(directory: string, passwordFile: string): string[] {
  return [
    `--pgdata=${directory}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8'
  ]
}

/**
 * A Postgres whose server was killed still runs. We hold the lock, so no server uses it: stop it. If its process id now
 * belongs to another program, Postgres would never start again: the id is replaced by an unused one. The rest of the
 * file stays, because Postgres finds in it whether workers of the old server are still attached to its memory.
 */
async function stopOrphan(directory: string, log: Log): Promise<void> {
  const file = join(directory, 'postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const pid = Number(text?.split('\n')[0])
  if (!text || !Number.isInteger(pid) || pid <= 0) return
  const isThere = processIdentity(pid) !== undefined
  if (!isThere || !isPostgresOn(pid, directory)) {
    // Postgres takes a process that has ended and was not collected by its parent for one that runs, too.
    if (isThere) log.warn({ pid }, 'the last Postgres ended without a shutdown, and another program has its process id')
    return writeFile(file, text.replace(/^\d+/, UNUSED_PID))
  }
  log.warn({ pid }, 'stopping the Postgres of a server that was killed')
  for (const [signal, ms] of [
    ['SIGINT', 10_000],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 2_000]
  ] as const) {
    process.kill(pid, 'SIGCONT')
    process.kill(pid, signal)
    if (await goneWithin(pid, ms)) return
  }
  throw new StartError(`the Postgres with process id ${pid} still runs on ${directory} and does not end`)
}

async function startOnSomePort(
  cluster: Cluster,
  fixed: number | undefined
): Promise<{ port: number; running: RunningPostgres }> {
  for (let attempt = 1; ; attempt++) {
    const port = fixed ?? (await freePort())
    try {
      return { port, running: await startOn(cluster, port) }
    } catch (error) {
      if (!(error instanceof NotFreeYet) || attempt === 8) throw error
      await delay(attempt * 50)
    }
  }
}

function startOn({ programs, directory, account, settings, log }: Cluster, port: number): Promise<RunningPostgres> {
  return startProcess(programs.postgres, directory, { account, port, settings, log })
}

/** Starts Postgres again, on the same port, whenever it ends by itself: the connection pool finds it there. */
function keepRunning(cluster: Cluster, port: number, first: RunningPostgres, restart: boolean) {
  const stopping = new AbortController()
  let current: RunningPostgres | undefined = first

  const watch = async (): Promise<void> => {
    while (current) {
      const how = await current.ended
      current = undefined
      if (stopping.signal.aborted || !restart) return
      cluster.log.error({ how, port }, 'the embedded Postgres ended by itself and is started again')
      current = await startAgain()
    }
  }
  const startAgain = async (): Promise<RunningPostgres | undefined> => {
    for (let waitMs = 100; !stopping.signal.aborted; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        const running = await startOn(cluster, port)
        if (stopping.signal.aborted) await running.stop()
        return running
      } catch (error) {
        // Right after a kill its workers may hold the shared memory or the port for a moment.
        cluster.log.error({ err: error, port }, 'the embedded Postgres could not be started again yet')
        await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
    return undefined
  }
  const watched = watch()
  return {
    pid: () => current?.pid,
    stop: async () => {
      stopping.abort()
      await current?.stop()
      await watched
    }
  }
}

async function createDatabase(adminUrl: string): Promise<void> {
  const sql = postgres(adminUrl, { max: 1, fetch_types: false, connect_timeout: 10, onnotice: () => {} })
  try {
    const found = await sql`select from pg_database where datname = ${DATABASE}`
    if (found.length === 0) await sql`create database ${sql(DATABASE)}`
  } finally {
    await sql.end({ timeout: 2 })
  }
}

/** A port on the loopback that nothing listens on just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
