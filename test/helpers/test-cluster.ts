import { join } from 'node:path'
import postgres from 'postgres'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts'
import { goneWithin } from '../../src/database/embedded/process-identity.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createPool } from '../../src/database/pool.ts'
import type { Log } from '../../src/util/log.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { postgresUnder, processTree } from './processes.ts'

/** Environment variables by which `npm test` hands its cluster to the test files. */
export const ADMIN_URL = 'DEMOS_RELAY_TEST_POSTGRES'
/** Where data directories of tests go: removed, and its Postgres processes ended, when the run is over. */
export const TEST_HOME = 'DEMOS_RELAY_TEST_HOME'
export const TEMPLATE = 'relay_template'

const ignore = () => {}
export const silentLog: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** One cluster for a whole run, with a migrated database to clone. Nobody can connect to that one, so cloning never fails. */
export async function startTestCluster(home: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(join(home, 'shared'), silentLog, { settings: { max_connections: '400' } })
  const admin = postgres(server.url('postgres'), { max: 1, onnotice: ignore })
  try {
    await admin`create database ${admin(TEMPLATE)}`
    const pool = createPool({ url: server.url(TEMPLATE), size: 1, statementMs: 30_000, log: silentLog })
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
