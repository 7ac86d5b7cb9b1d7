import type { Sql } from '../database/database.ts'

/**
 * Notes that a relay has receipts for these entries, whose recipients had several places. Returns those that have to
 * stay: another place of the recipient owes a receipt. Two relays that ask in the same moment both stay; so ask again.
 */
export async function noteReceipts(sql: Sql, relay: string, seqs: readonly number[]): Promise<number[]> {
  const rows = await sql<{ seq: number }[]>`
    with noted as (
      insert into session_receipt (seq, relay)
      select seq, ${relay}::uuid from unnest(${seqs as number[]}::bigint[]) as given (seq) on conflict do nothing
    )
    select entry.seq from queue_entry as entry
    where entry.seq + 0 = any(${seqs as number[]}::bigint[]) and exists (
      select from session as s
      where s.network = entry.network and s.peer = entry.recipient and s.relay <> ${relay}::uuid
        and case when s.left_at is null
          then exists (select from relay where relay.id = s.relay and relay.lease_until > now())
          else entry.seq <= s.owed_seq end
        and not exists (select from session_receipt as r where r.seq = entry.seq and r.relay = s.relay))`
  return rows.map(({ seq }) => seq)
}

/** Forgets the receipts of entries that have left. */
export async function forgetReceipts(sql: Sql, seqs: readonly number[]): Promise<void> {
  await sql`delete from session_receipt where seq = any(${seqs as number[]}::bigint[])`
}

/** Forgets up to `limit` receipts of entries that left by another way. */
export async function sweepReceipts(sql: Sql, limit: number): Promise<void> {
  await sql`
    delete from session_receipt where (seq, relay) in (
      select seq, relay from session_receipt as r
      where not exists (select from queue_entry where queue_entry.seq + 0 = r.seq) limit ${limit})`
}
