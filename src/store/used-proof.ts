import type { Sql } from './database.ts'

/** Notes that a register proof was shown; false when it was shown before. Atomic, also across servers. */
export async function useProof(sql: Sql, digest: Uint8Array, expiresAt: number): Promise<boolean> {
  const noted =
    await sql`insert into used_proof (digest, expires_at) values (${digest}, ${expiresAt}) on conflict do nothing`
  return noted.count === 1
}

/** Deletes up to `limit` proofs that are too old to be shown again; returns how many. */
export async function sweepProofs(sql: Sql, now: number, limit: number): Promise<number> {
  const gone = await sql`
    delete from used_proof where digest in (
      select digest from used_proof where expires_at < ${now} order by expires_at limit ${limit})`
  return gone.count
}
