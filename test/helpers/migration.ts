import type { TestContext } from 'node:test'
import { MIGRATION_LOCK } from '../../src/database/migrate.ts'
import { createTestDatabase } from './database.ts'
import { startTestServer, type TestServer } from './server.ts'

interface Start {
  readonly starting: Promise<TestServer>
  /** Does the server wait for the other one's migration? */
  isWaiting(): Promise<boolean>
  /** The other one's migration is done. */
  release(): Promise<void>
}

/** A server that starts while another one migrates the database. */
export async function startDuringMigration(t: TestContext): Promise<Start> {
  const { url, sql } = await createTestDatabase(t)
  const other = await sql.reserve()
  await other`select pg_advisory_lock(${MIGRATION_LOCK})`
  return {
    starting: startTestServer(t, { DATABASE_URL: url, DATABASE_DEADLINE_MS: 60_000 }),
    isWaiting: async () => {
      const waiting = await sql`
        select from pg_locks join pg_database on database = pg_database.oid
        where locktype = 'advisory' and not granted and datname = current_database()`
      return waiting.length > 0
    },
    release: async () => {
      await other`select pg_advisory_unlock(${MIGRATION_LOCK})`
      other.release()
    }
  }
}
