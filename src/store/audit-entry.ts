import type { AnySql, TransactionSql } from '../database/database.ts'
import { BYTEA } from './audit-log.ts'
import { numberColumn, textColumns } from './rows.ts'

/** A record in its place. */
export interface NewEntry {
  readonly log: number
  readonly index: number
  /** Canonical JSON, ASCII, on one line. */
  readonly text: string
  readonly messageSeq: number | null
  /** Of a signaling message, see nameOfMessage(). */
  readonly name: bigint | null
}

/** A record that was found by its name. */
export interface NamedEntry {
  readonly entry: Buffer
  /** 64 hex digits. */
  readonly txHash: string
}

export interface StoredTile {
  readonly log: number
  readonly level: number
  readonly index: number
  readonly hashes: Buffer
}

export async function insertAuditEntries(tx: TransactionSql, entries: readonly NewEntry[]): Promise<void> {
  const { separator, lines } = textColumns(entries, { lines: (e) => e.text })
  await tx`
    insert into audit_entry (log, idx, message_seq, name, entry)
    select log, idx, nullif(message_seq, 0), nullif(name, 0), convert_to(line, 'UTF8')
    from rows from (
      unnest(${numberColumn(entries, (e) => e.log)}::text::bigint[]),
      unnest(${numberColumn(entries, (e) => e.index)}::text::bigint[]),
      unnest(${numberColumn(entries, (e) => e.messageSeq ?? 0)}::text::bigint[]),
      unnest(${numberColumn(entries, (e) => e.name ?? 0)}::text::bigint[]),
      string_to_table(${lines}, ${separator})) as e (log, idx, message_seq, name, line)`
}

/** Writes whole tiles: new ones, and the longer state of those that grew. */
export async function writeTiles(tx: TransactionSql, tiles: readonly StoredTile[]): Promise<void> {
  await tx`
    insert into audit_tile (log, level, idx, hashes)
    select * from unnest(${tiles.map((t) => t.log)}::int[], ${tiles.map((t) => t.level)}::int[],
      ${tiles.map((t) => t.index)}::bigint[], ${tx.array(
        tiles.map((t) => t.hashes),
        BYTEA
      )}::bytea[])
    on conflict (log, level, idx) do update set hashes = excluded.hashes`
}

/** Those of these tiles that are there. */
export async function readTiles(
  sql: AnySql,
  refs: readonly { log: number; level: number; index: number }[]
): Promise<StoredTile[]> {
  if (refs.length === 0) return []
  return sql<StoredTile[]>`
    select log, level, idx as index, hashes from audit_tile
    where (log, level, idx) in (
      select * from unnest(${refs.map((r) => r.log)}::int[], ${refs.map((r) => r.level)}::int[],
        ${refs.map((r) => r.index)}::bigint[]))`
}

/** The records of a log from `start` up to, but without, `end`: those that are there, in order. */
export async function readEntries(sql: AnySql, log: number, start: number, end: number) {
  return sql<{ index: number; entry: Buffer }[]>`
    select idx as index, entry from audit_entry where log = ${log} and idx >= ${start} and idx < ${end} order by idx`
}

/** Where in a log the record with this transaction hash is. */
export async function findEntry(sql: AnySql, log: number, hash: Uint8Array): Promise<number | undefined> {
  const [row] = await sql<{ index: number }[]>`
    select idx as index from audit_entry where sha256(entry) = ${hash}::bytea and log = ${log}`
  return row?.index
}

/** The first `limit` records of a name, in the order of the log, as far as they are under the network's published checkpoint. */
export async function findNamed(sql: AnySql, network: string, name: bigint, limit: number) {
  return sql<NamedEntry[]>`
    select entry, encode(sha256(entry), 'hex') as "txHash"
    from (select log, idx, entry from audit_entry where name = ${String(name)}::bigint order by idx limit ${limit}) as e
      join audit_log on audit_log.id = e.log
    where network = ${network} and idx < published_size
    order by idx`
}

/** How many records of a log lie beyond its tree. */
export async function countBeyond(sql: AnySql, { id, size }: { id: number; size: number }): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*) from audit_entry where log = ${id} and idx >= ${size}`
  return row!.count
}

/** How far a message is on its way into the audit trail: waiting for its place, in the log, under a signed checkpoint, anchored. */
export type RollupStatus = 'none' | 'pending' | 'batched' | 'confirmed'

export interface Rollup {
  readonly status: RollupStatus
  /** 64 hex digits; null until a checkpoint is signed over the record. */
  readonly txHash: string | null
}

/**
 * For a query over `message as m` (any relation m with m.seq): what to join, and what to select as `rollup` and `"txHash"`.
 * A message without an entry is still in the inbox: every accepted message is in one of the two. It has one at most; the limit
 * keeps the planner, whatever it believes of the tables, from reading all of them.
 */
export const rollupJoin = (sql: AnySql) => sql`
  left join lateral (select log, idx, entry from audit_entry where message_seq = m.seq limit 1) as audit on true
  left join audit_log audited on audited.id = audit.log`

export const rollupColumns = (sql: AnySql) => sql`
  case when audit.idx < audited.anchored_size then 'confirmed'
    when audit.idx < audited.published_size then 'batched'
    when audit.idx is not null then 'pending' else 'none' end as rollup,
  case when audit.idx < audited.published_size then encode(sha256(audit.entry), 'hex') end as "txHash"`
