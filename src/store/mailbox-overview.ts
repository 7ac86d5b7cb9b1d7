import type { AnySql, Sql } from '../database/database.ts'

/** Totals of one mailbox. */
export interface MailboxSummary {
  readonly network: string
  readonly recipient: string
  readonly entries: number
  readonly bytes: number
  /** ms since 1970; null when the mailbox is empty. */
  readonly oldestAcceptedAt: number | null
  /** Entries sealed for a key that is not the recipient's present one: they are not delivered (docs/protocol.md, 2.6). */
  readonly withheld: number
}

/** What is known of an entry without its body. */
export interface EntryFacts {
  readonly seq: number
  readonly sender: string
  readonly bytes: number
  /** ms since 1970, like expiresAt. */
  readonly acceptedAt: number
  readonly expiresAt: number
  readonly keyId: string | null
  readonly withheld: boolean
  /** messageHash; null where the protocol has none. */
  readonly digest: string | null
  /** How often it was sent to a session that ended without a receipt. */
  readonly deliveries: number
}

/** Whether `entry` is sealed for a key that is not that of `identity`, which is left-joined. */
export const isWithheld = (sql: AnySql) =>
  sql`(entry.key_id is not null and entry.key_id is distinct from identity.key_id)`

const summary = (sql: AnySql) => sql`
  cross join lateral (
    select count(*) as entries, coalesce(sum(entry.size_bytes), 0)::bigint as bytes,
      min(entry.accepted_at) as "oldestAcceptedAt", count(*) filter (where ${isWithheld(sql)}) as withheld
    from queue_entry as entry left join identity on identity.network = entry.network and identity.peer = entry.recipient
    where entry.network = box.network and entry.recipient = box.recipient) as summary`

/**
 * The mailboxes that hold something, in the order of their names, after one of them: at most `limit`. Walks from one to
 * the next by the primary key, so a full mailbox before the page costs nothing.
 */
export async function listMailboxes(
  sql: Sql,
  filter: { network: string | undefined; recipient: string | undefined },
  after: readonly [network: string, recipient: string] | undefined,
  limit: number
): Promise<MailboxSummary[]> {
  const wanted = sql`
    ${filter.network === undefined ? sql`true` : sql`network = ${filter.network}`}
    and ${filter.recipient === undefined ? sql`true` : sql`recipient = ${filter.recipient}`}`
  const [network, recipient] = after ?? ['', '']
  return sql<MailboxSummary[]>`
    with recursive box as (
      (select network, recipient from queue_entry
        where ${wanted} and (network, recipient) > (${network}, ${recipient}) order by network, recipient limit 1)
      union all
      select next.network, next.recipient from box cross join lateral (
        select network, recipient from queue_entry
        where ${wanted} and (network, recipient) > (box.network, box.recipient) order by network, recipient limit 1) as next
    )
    select box.network, box.recipient, summary.* from (select * from box limit ${limit}) as box ${summary(sql)}
    order by box.network, box.recipient`
}

/** One mailbox, also an empty one. */
export async function summarizeMailbox(sql: Sql, network: string, recipient: string): Promise<MailboxSummary> {
  const [row] = await sql<MailboxSummary[]>`
    select box.*, summary.* from (select ${network}::text as network, ${recipient}::text as recipient) as box ${summary(sql)}`
  return row!
}

/** The entries of a mailbox after a place, oldest first: at most `limit`. */
export async function listEntries(
  sql: Sql,
  box: { network: string; recipient: string },
  afterSeq: number,
  limit: number
): Promise<EntryFacts[]> {
  return sql<EntryFacts[]>`
    select entry.seq, entry.sender, entry.size_bytes as bytes, entry.accepted_at as "acceptedAt",
      entry.expires_at as "expiresAt", entry.key_id as "keyId", ${isWithheld(sql)} as withheld,
      message.message_hash as digest, entry.deliveries
    from queue_entry as entry
      left join identity on identity.network = entry.network and identity.peer = entry.recipient
      left join message on message.seq = entry.seq
    where entry.network = ${box.network} and entry.recipient = ${box.recipient} and entry.seq > ${afterSeq}
    order by entry.seq limit ${limit}`
}

/** What waits in one network. */
export interface QueueStats {
  readonly network: string
  readonly entries: number
  readonly bytes: number
  /** ms since 1970. */
  readonly oldestAcceptedAt: number
}

/** What waits in each network that has something waiting; only in these, when they are given. Reads every entry. */
export async function readQueueStats(sql: AnySql, networks: readonly string[]): Promise<QueueStats[]> {
  return sql<QueueStats[]>`
    select network, count(*) as entries, sum(size_bytes)::bigint as bytes, min(accepted_at) as "oldestAcceptedAt"
    from queue_entry where network = any(${networks as string[]}::text[]) group by network`
}

/** What waits in the mailboxes of one protocol. */
export interface QueueSize {
  readonly entries: number
  readonly bytes: number
}

/** Counts everything that waits, within `ms`. Reads every entry. */
export async function countQueue(sql: Sql, ms: number): Promise<Record<'signaling' | 'l2ps', QueueSize>> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true), set_config('enable_seqscan', 'on', true)`
    const rows = await tx<(QueueSize & { isSignaling: boolean })[]>`
      select network = 'signaling' as "isSignaling", count(*) as entries, sum(size_bytes)::bigint as bytes
      from queue_entry group by 1`
    const of = (isSignaling: boolean) => rows.find((row) => row.isSignaling === isSignaling) ?? { entries: 0, bytes: 0 }
    return { signaling: of(true), l2ps: of(false) }
  }) as Promise<Record<'signaling' | 'l2ps', QueueSize>>
}

/** When the oldest waiting message of each protocol was accepted (ms since 1970). Each is one step into an index of its own. */
export async function oldestInQueue(sql: Sql): Promise<{ signaling: number | undefined; l2ps: number | undefined }> {
  const [row] = await sql<{ signaling: number | null; l2ps: number | null }[]>`
    select
      (select accepted_at from queue_entry where network = 'signaling' order by expires_at limit 1) as signaling,
      (select accepted_at from queue_entry where network <> 'signaling' order by expires_at limit 1) as l2ps`
  return { signaling: row?.signaling ?? undefined, l2ps: row?.l2ps ?? undefined }
}
