import type { Sql } from '../database/database.ts'

/** Deletes up to `limit` proofs that are too old to be shown again; returns how many. */
export async function sweepProofs(sql: Sql, now: number, limit: number): Promise<number> {
  const gone = await sql`
    delete from used_proof where digest = any(array(
      select digest from used_proof where expires_at < ${now} order by expires_at limit ${limit}))`
  return gone.count
}
