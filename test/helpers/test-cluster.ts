import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, realpath, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts'
import { goneWithin } from '../../src/database/embedded/process-identity.ts'
import { migrate } from '../../src/database/migrate.ts'
import { Pool } from '../../src/database/pool.ts'
import type { Log } from '../../src/util/log.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { postgresUnder, processTree } from './processes.ts'

/** Environment variables by which `npm test` hands its cluster to the test files. */
export const ADMIN_URL = 'DEMOS_RELAY_TEST_POSTGRES'
/** Where data directories of tests go: removed, and its Postgres processes ended, when the run is over. */
export const TEST_HOME = 'DEMOS_RELAY_TEST_HOME'
export const TEMPLATE = 'relay_template'
const MEMORY_DISK = '/dev/shm'
const MEMORY_DISK_BYTES = 4 * 2 ** 30

const ignore = () => {}
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** A new directory for the data of a run: in memory where there is room, as databases are made and dropped all the time. */
export async function makeTestHome(): Promise<string> {
  const place = (await hasRoom(MEMORY_DISK)) ? MEMORY_DISK : tmpdir()
  const home = await realpath(await mkdtemp(join(place, 'demos-relay-test-')))
  await chmod(home, 0o711) // run by root, Postgres is another user who has to pass here
  return home
}

/** Containers have a small one, and often one that no program may be run from. */
async function hasRoom(disk: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(disk)
    const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map((line) => line.split(' '))
    const options = mounts.findLast(([, directory]) => directory === disk)?.[3]?.split(',')
    return bavail * bsize >= MEMORY_DISK_BYTES && options?.includes('noexec') === false
  } catch {
    return false // not Linux
  }
}

/**
 * Nobody pulls its plug, so nothing of it has to be on a disk; tests of durability start a Postgres of their own. Copies
 * of files are cheaper than copies by way of the log, see createTestDatabase().
 */
const SETTINGS = { max_connections: '400', fsync: 'off', full_page_writes: 'off', max_wal_size: '256MB' }

/** Below the home of a run: a cluster that was started once, to be copied. Making one takes a second of processor time. */
const MADE_CLUSTER = 'made-cluster'

/** Puts a cluster into a directory, where a run has one to copy; else whoever starts there makes it. */
export async function putCluster(directory: string, home = process.env[TEST_HOME]): Promise<void> {
  if (home === undefined) return
  await promisify(execFile)('cp', ['-a', `${join(home, MADE_CLUSTER)}/.`, directory])
}

/** One cluster for a whole run, with a migrated database to clone. Nobody can connect to that one, so cloning never fails. */
export async function startTestCluster(home: string): Promise<EmbeddedPostgres> {
  await (await startEmbeddedPostgres(join(home, MADE_CLUSTER), silentLog)).stop()
  await mkdir(join(home, 'shared'))
  await putCluster(join(home, 'shared'), home)
  const server = await startEmbeddedPostgres(join(home, 'shared'), silentLog, { settings: SETTINGS })
  const admin = postgres(server.url('postgres'), { max: 1, onnotice: ignore })
  try {
    await admin`create database ${admin(TEMPLATE)}`
    const pool = new Pool({ url: server.url(TEMPLATE), size: 1, statementMs: 30_000, log: silentLog })
    try {
      await migrate(pool.sql, packageFile('migrations'))
    } finally {
      await pool.end(1_000)
    }
    await admin`alter database ${admin(TEMPLATE)} with allow_connections false`
  } catch (error) {
    await server.stop()
    throw error
  } finally {
    await admin.end({ timeout: 1 })
  }
  return server
}

/** Ends every Postgres that a test file left behind under `home`, frozen ones too. Returns how many. */
export async function endStrayClusters(home: string): Promise<number> {
  const strays = postgresUnder(home)
  for (const pid of strays) {
    for (const each of processTree(pid)) process.kill(each, 'SIGCONT')
    process.kill(pid, 'SIGQUIT')
    if (!(await goneWithin(pid, 3_000))) process.kill(pid, 'SIGKILL')
  }
  return strays.length
}
