import type { AnySql } from '../database/database.ts'

/** How far a message is on its way into the audit trail: waiting for its place, in the log, under a signed checkpoint, anchored. */
export type RollupStatus = 'none' | 'pending' | 'batched' | 'confirmed'

export interface Rollup {
  readonly status: RollupStatus
  /** 64 hex digits; null until a checkpoint is signed over the record. */
  readonly txHash: string | null
}

/**
 * For a query over `message as m` (any relation m with m.seq): what to join, and what to select as `rollup` and `"txHash"`.
 * A message without an entry is still in the inbox: every accepted message is in one of the two.
 */
export const rollupJoin = (sql: AnySql) => sql`
  left join audit_entry audit on audit.message_seq = m.seq
  left join audit_log audited on audited.id = audit.log`

export const rollupColumns = (sql: AnySql) => sql`
  case when audit.idx < audited.anchored_size then 'confirmed'
    when audit.idx < audited.published_size then 'batched'
    when audit.idx is not null then 'pending' else 'none' end as rollup,
  case when audit.idx < audited.published_size then encode(sha256(audit.entry), 'hex') end as "txHash"`

/** The rollup of messages by their seq. */
export async function rollupOf(sql: AnySql, messageSeqs: readonly number[]): Promise<Map<number, Rollup>> {
  const rows = await sql<{ seq: number; rollup: RollupStatus; txHash: string | null }[]>`
    select m.seq, ${rollupColumns(sql)}
    from unnest(${messageSeqs as number[]}::bigint[]) as m (seq) ${rollupJoin(sql)}`
  return new Map(rows.map(({ seq, rollup, txHash }) => [seq, { status: rollup, txHash }]))
}
