import type { AnySql, Sql, TransactionSql } from '../database/database.ts'

/** A log as it stands: its tree, and how much of it is signed and published, and anchored. */
export interface AuditLog {
  readonly id: number
  readonly network: string
  readonly epoch: number
  readonly size: number
  readonly root: Uint8Array
  readonly publishedSize: number
  readonly publishedNote: string | null
  readonly publishedAt: number
  readonly anchoredSize: number
}

/** The log of the nodes' own checkpoints. No network of peers may have this name. */
export const ANCHORS = 'anchors'

/** pg_type.oid of bytea: the driver would take a list of byte strings for a list of texts. */
export const BYTEA = 17

/** Any number, the same in every version of this server, and not the one of another lock. */
const LOCK = 30_053_007

const columns = (sql: AnySql) => sql`
  id, network, epoch, size, root, published_size as "publishedSize", published_note as "publishedNote",
  published_at as "publishedAt", anchored_size as "anchoredSize"`

/**
 * Is this transaction the one that may add to logs? Given back when it ends, also by the end of its connection.
 * `signer`: the key that may sign them, if one has claimed the database.
 */
export async function holdSequencer(tx: TransactionSql): Promise<{ isHeld: boolean; signer: Buffer | null }> {
  const [row] = await tx<{ isHeld: boolean; signer: Buffer | null }[]>`
    select pg_try_advisory_xact_lock(${LOCK}) as "isHeld",
      (select public_key from audit_node order by id desc limit 1) as signer`
  return row!
}

/** Waits until nobody else adds to logs. For decisions that are about all of them. */
export async function awaitSequencer(tx: TransactionSql): Promise<void> {
  await tx`select pg_advisory_xact_lock(${LOCK})`
}

/** The logs of these networks, created where needed, locked until the transaction ends. */
export async function openLogs(tx: TransactionSql, networks: readonly string[], emptyRoot: Uint8Array) {
  await tx`
    insert into audit_log (network, root)
    select network, ${emptyRoot}::bytea from unnest(${networks as string[]}::text[]) as w (network)
    where not exists (select from audit_log l where l.network = w.network)
    on conflict do nothing`
  return tx<AuditLog[]>`
    select ${columns(tx)} from audit_log where network = any(${networks as string[]}::text[])
    order by id for update`
}

export async function findLog(sql: AnySql, network: string): Promise<AuditLog | undefined> {
  const [log] = await sql<AuditLog[]>`select ${columns(sql)} from audit_log where network = ${network}`
  return log
}

export async function allLogs(sql: AnySql): Promise<AuditLog[]> {
  return sql<AuditLog[]>`select ${columns(sql)} from audit_log order by network`
}

/** Logs that grew beyond their checkpoint, that were published since a time, or that are named. */
export async function logsToPublish(sql: Sql, since: number, networks: readonly string[]): Promise<AuditLog[]> {
  return sql<AuditLog[]>`
    select ${columns(sql)} from audit_log
    where size > published_size or published_at >= ${since} or network = any(${networks as string[]}::text[])`
}

export interface Growth {
  readonly log: number
  readonly size: number
  readonly root: Uint8Array
}

/** Sets the size and root of logs this transaction has locked. */
export async function growLogs(tx: TransactionSql, growths: readonly Growth[]): Promise<void> {
  await tx`
    update audit_log set size = g.size, root = g.root
    from unnest(${growths.map((g) => g.log)}::int[], ${growths.map((g) => g.size)}::bigint[],
      ${tx.array(
        growths.map((g) => Buffer.from(g.root)),
        BYTEA
      )}::bytea[]) as g (log, size, root)
    where id = g.log`
}

export interface SignedCheckpoint {
  readonly log: Pick<AuditLog, 'id' | 'epoch' | 'size'>
  readonly note: string
}

/** Publishes what `signer` signed, except of logs that have moved on, or if it may not sign any more. `now`: ms since 1970. */
export async function publishCheckpoints(
  sql: Sql,
  signer: Uint8Array,
  signed: readonly SignedCheckpoint[],
  now: number
): Promise<void> {
  await sql`
    with locked as materialized ( -- in one order, so that two servers cannot wait for each other
      select id from audit_log where id = any(${signed.map(({ log }) => log.id)}::int[]) order by id for update
    )
    update audit_log set published_size = s.size, published_note = s.note, published_at = ${now}
    from locked, unnest(${signed.map(({ log }) => log.id)}::int[], ${signed.map(({ log }) => log.epoch)}::int[],
      ${signed.map(({ log }) => log.size)}::bigint[], ${signed.map(({ note }) => note)}::text[])
      as s (log, epoch, size, note)
    where audit_log.id = s.log and locked.id = s.log and audit_log.epoch = s.epoch and published_size < s.size
      and coalesce((select public_key from audit_node order by id desc limit 1), ${signer}) = ${signer}`
}

/** Goes on under a new name: what was signed under the old one is no promise of this log any more. */
export async function beginEpoch(tx: TransactionSql, log: AuditLog, epoch: number): Promise<void> {
  await tx`
    update audit_log set epoch = ${epoch}, published_size = 0, published_note = null where id = ${log.id}`
}

/** Counts a number of further records of each sender in a log; returns each one's last nonce. */
export async function takeNonces(
  tx: TransactionSql,
  uses: readonly { log: number; sender: string; records: number }[]
): Promise<{ log: number; sender: string; nonce: number }[]> {
  return tx<{ log: number; sender: string; nonce: number }[]>`
    insert into audit_sender (log, sender, nonce)
    select * from unnest(${uses.map((u) => u.log)}::int[], ${uses.map((u) => u.sender)}::text[],
      ${uses.map((u) => u.records)}::bigint[])
    on conflict (log, sender) do update set nonce = audit_sender.nonce + excluded.nonce
    returning log, sender, nonce`
}

/** A log that is not yet covered by a checkpoint, or not yet anchored. */
export interface LogProgress {
  readonly id: number
  readonly size: number
  readonly publishedSize: number
  readonly anchoredSize: number
  /** Is a checkpoint on its way to the anchor, or should it be? */
  readonly isAnchorDue: boolean
  /** When it went on its way, ms since 1970; null when it has not. */
  readonly carriedSince: number | null
}

export interface AuditProgress {
  /** Records in all logs. */
  readonly records: number
  /** Events in the inbox. */
  readonly waiting: number
  readonly behind: readonly LogProgress[]
}

/** The progress of all logs. A log's next checkpoint is due when its last went to the anchor at or before `dueAt`, ms since 1970. */
export async function readAuditProgress(sql: Sql, dueAt: number): Promise<AuditProgress> {
  const [totals, behind] = await Promise.all([
    sql<{ records: number; waiting: number }[]>`
      select (select coalesce(sum(size), 0)::bigint from audit_log) as records,
        (select coalesce(sum(count), 0)::bigint from audit_inbox) as waiting`,
    sql<LogProgress[]>`
      select l.id, size, published_size as "publishedSize", anchored_size as "anchoredSize",
        carried.created_at as "carriedSince",
        network <> ${ANCHORS} and published_size > anchored_size
          and (carried.created_at is not null or anchor_queued_at <= ${dueAt}) as "isAnchorDue"
      from audit_log l left join (select log, created_at from audit_anchor where done_at is null) as carried on carried.log = l.id
      where size > published_size or published_size > anchored_size`
  ])
  return { ...totals[0]!, behind }
}
