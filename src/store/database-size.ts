import type { AnySql } from '../database/database.ts'

/** What this database takes on the disk of its server: tables and indexes, without the write-ahead log. */
export async function databaseBytes(sql: AnySql): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`select pg_database_size(current_database()) as bytes`
  return row!.bytes
}
