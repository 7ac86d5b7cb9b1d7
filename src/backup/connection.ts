import postgres from 'postgres'
import { readEndpoint } from '../database/endpoint.ts'

/** Runs work on one connection of its own: what is bound to a session holds until the work is done. */
export async function withConnection<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  readEndpoint(url) // the driver's own complaint about a URL would repeat it
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    connect_timeout: 10,
    idle_timeout: 0,
    max_lifetime: null,
    onnotice: () => {}
  })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 2 })
  }
}

/** Major version of a server. */
export async function serverMajor(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ version: number }[]>`select current_setting('server_version_num')::int as version`
  return Math.floor(row!.version / 10_000)
}

/** The newest migration a database has; undefined: none, so it is not one of ours. */
export async function schemaVersion(sql: postgres.Sql): Promise<number | undefined> {
  const [exists] = await sql`select from pg_class where oid = to_regclass('schema_migration')`
  if (exists === undefined) return undefined
  const [row] = await sql<{ version: number | null }[]>`select max(version) as version from schema_migration`
  return row?.version ?? undefined
}
