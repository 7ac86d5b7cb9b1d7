import type { PendingQuery, Row } from 'postgres'
import type { AnySql, Sql } from '../database/database.ts'
import { MALFORMED } from './queue-entry.ts'

/** Totals of one mailbox. */
export interface MailboxSummary {
  readonly network: string
  readonly recipient: string
  readonly entries: number
  readonly bytes: number
  /** ms since 1970; null when the mailbox is empty. */
  readonly oldestAcceptedAt: number | null
  /** Entries that the recipient's present key or client cannot open: they are not delivered (docs/protocol.md, 2.6). */
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
  /** Its body is none that the recipient's client could open; else what is withheld is sealed for another key. */
  readonly isMalformed: boolean
  /** messageHash; null where the protocol has none. */
  readonly digest: string | null
  /** How often it was sent to a session that ended without a receipt. */
  readonly deliveries: number
}

/** Whether `entry` is malformed, or sealed for a key that is not that of `identity`, which is left-joined. */
export const isWithheld = (sql: AnySql) =>
  sql`(entry.key_id is not null and entry.key_id is distinct from identity.key_id)`

// All that is asked of an entry here is in the primary key or included in it, so the statements read that index alone, where
// the table is as large as the sealed bodies. VACUUM makes it so again after changes.
const sums = (sql: AnySql) => sql`
  count(*) as entries, coalesce(sum(size_bytes), 0)::bigint as bytes, min(accepted_at) as "oldestAcceptedAt"`

const summary = (sql: AnySql) => sql`
  cross join lateral (
    select ${sums(sql)} from queue_entry
    where queue_entry.network = box.network and queue_entry.recipient = box.recipient) as summary`

const withheld = (sql: AnySql) => sql`
  cross join lateral (
    select count(*) filter (where ${isWithheld(sql)}) as withheld
    from queue_entry as entry left join identity on identity.network = entry.network and identity.peer = entry.recipient
    where entry.network = box.network and entry.recipient = box.recipient) as kept`

/** Which mailboxes are listed: of a network, of one recipient, of recipients whose names begin so (see `namesFrom`). */
export interface MailboxFilter {
  readonly network: string | undefined
  readonly recipient: string | undefined
  readonly search: string | undefined
}

const filtered = (sql: AnySql, { network, recipient }: MailboxFilter) => sql`
  ${network === undefined ? sql`true` : sql`network = ${network}`}
  and ${recipient === undefined ? sql`true` : sql`recipient = ${recipient}`}`

/**
 * Names that begin with `search`, which is in lower case: a range, so that an index on lower(name) serves it whatever the
 * text. The columns have the collation "C", under which only the letters A to Z have a case.
 */
export const namesFrom = (sql: AnySql, name: PendingQuery<Row[]>, search: string | undefined) =>
  search === undefined ? sql`true` : sql`(lower(${name}) >= ${search} and lower(${name}) < ${search + LAST})`

/** Comes after every name: the last code point. */
const LAST = '\u{10ffff}'

/**
 * Where a walk in the order of names goes on behind `name`, to find those that begin as `search`. A name that does is followed
 * by the next one, whatever it is. Behind another comes the next spelling of the search: its beginning is what both have in
 * common, then a letter that comes later (capitals come first), then the search again.
 */
function nextName(sql: AnySql, name: PendingQuery<Row[]>, search: string, isDescending: boolean) {
  const text = sql`(${search}::text collate "C")`
  const letter = sql`substr(${text}, i, 1)`
  const [beyond, direction] = isDescending ? [sql`<`, sql`desc`] : [sql`>`, sql`asc`]
  const rest = isDescending ? sql`substr(${text}, i + 1) || ${LAST}` : sql`upper(substr(${text}, i + 1))`
  return sql`
    case when ${namesFrom(sql, name, search)} then ${isDescending ? name : sql`${name} || chr(1)`} else coalesce((
      select left(${name}, i - 1) || spelt || ${rest}
      from generate_series(1, length(${text})) as i cross join lateral (values (upper(${letter})), (${letter})) as c (spelt)
      where lower(left(${name}, i - 1)) = left(${text}, i - 1) and spelt ${beyond} substr(${name}, i, 1)
      order by i desc, spelt ${direction} limit 1), ${isDescending ? '' : LAST}) end`
}

/**
 * A CTE `box` of the mailboxes that hold something, in the order of their names after one of them. Walks from one to the
 * next by the primary key, so a full mailbox costs no more than one with a message. With a search it passes over names that
 * do not begin so: in each network it falls upon one before each spelling at most, and `box` has these, too.
 */
function walk(sql: AnySql, filter: MailboxFilter, after?: readonly [string, string], isDescending = false) {
  const [beyond, direction] = isDescending ? [sql`<`, sql`desc`] : [sql`>`, sql`asc`]
  const order = sql`order by network ${direction}, recipient ${direction} limit 1`
  const wanted = filtered(sql, filter)
  const isAfter = after === undefined ? sql`true` : sql`(network, recipient) ${beyond} (${after[0]}, ${after[1]})`
  const { search } = filter
  const name = sql`box.recipient`
  const isNext =
    search === undefined
      ? sql`${beyond} (box.network, ${name})`
      : sql`${isDescending ? sql`<` : sql`>=`} (box.network, ${nextName(sql, name, search, isDescending)})`
  return sql`
    with recursive box as (
      (select network, recipient from queue_entry where ${wanted} and ${isAfter} ${order})
      union all
      select next.network, next.recipient from box cross join lateral (
        select network, recipient from queue_entry where ${wanted} and (network, recipient) ${isNext} ${order}) as next
    )`
}

/** The mailboxes that hold something, in the order of their names, after one of them: at most `limit`. */
export async function listMailboxes(
  sql: Sql,
  filter: MailboxFilter,
  after: readonly [network: string, recipient: string] | undefined,
  limit: number,
  isDescending = false
): Promise<MailboxSummary[]> {
  const direction = isDescending ? sql`desc` : sql`asc`
  const wanted = namesFrom(sql, sql`box.recipient`, filter.search)
  return sql<MailboxSummary[]>`
    ${walk(sql, filter, after, isDescending)}
    select box.network, box.recipient, summary.*, kept.*
    from (select * from box where ${wanted} limit ${limit}) as box ${summary(sql)} ${withheld(sql)}
    order by box.network ${direction}, box.recipient ${direction}`
}

/** How many mailboxes hold something. Rejects with `query_canceled` after `ms`. */
export async function countMailboxes(sql: Sql, filter: MailboxFilter, ms: number): Promise<number> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const [row] = await tx<{ count: number }[]>`
      ${walk(tx, filter)} select count(*) from box where ${namesFrom(tx, tx`box.recipient`, filter.search)}`
    return row!.count
  }) as Promise<number>
}

/** A CTE `sums` of every mailbox of the filter: from one pass over all entries, or of the few that a search finds. */
function summed(sql: AnySql, filter: MailboxFilter) {
  if (filter.search === undefined) {
    return sql`
      with sums as (
        select network, recipient, ${sums(sql)} from queue_entry where ${filtered(sql, filter)} group by network, recipient)`
  }
  return sql`
    ${walk(sql, filter)}, sums as (
      select box.network, box.recipient, summary.* from box ${summary(sql)}
      where ${namesFrom(sql, sql`box.recipient`, filter.search)})`
}

/** By what mailboxes can be sorted, besides their names. */
export const MAILBOX_ORDERS = ['depth', 'bytes', 'oldest'] as const
export type MailboxOrder = (typeof MAILBOX_ORDERS)[number]

export interface SortedMailbox extends MailboxSummary {
  /** What it was sorted by. */
  readonly value: number
  /** How many mailboxes fit the filter. */
  readonly total: number
}

/**
 * The mailboxes that hold something, sorted, after a place. Sums up every entry of the filter: sums are kept nowhere, since
 * they would have to be written with each message (decision 20). Rejects with `query_canceled` after `ms`.
 */
export async function sortMailboxes(
  sql: Sql,
  filter: MailboxFilter,
  { key, isDescending }: { key: MailboxOrder; isDescending: boolean },
  after: readonly [value: number, network: string, recipient: string] | undefined,
  { limit, ms }: { limit: number; ms: number }
): Promise<SortedMailbox[]> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const column = { depth: tx`entries`, bytes: tx`bytes`, oldest: tx`"oldestAcceptedAt"` }[key]
    const [beyond, direction] = isDescending ? [tx`<`, tx`desc`] : [tx`>`, tx`asc`]
    const [value, network, recipient] = after ?? [0, '', '']
    const isAfter = tx`
      (${column} ${beyond} ${value} or (${column} = ${value} and (network, recipient) > (${network}, ${recipient})))`
    return tx<SortedMailbox[]>`
      ${summed(tx, filter)}
      select box.*, kept.* from (
        select sums.*, ${column} as value, (select count(*) from sums) as total from sums
        where ${after === undefined ? tx`true` : isAfter}
        order by ${column} ${direction}, network, recipient limit ${limit}) as box ${withheld(tx)}
      order by box.value ${direction}, box.network, box.recipient`
  }) as Promise<SortedMailbox[]>
}

/** One mailbox, also an empty one. */
export async function summarizeMailbox(sql: Sql, network: string, recipient: string): Promise<MailboxSummary> {
  const [row] = await sql<MailboxSummary[]>`
    select box.*, summary.*, kept.*
    from (select ${network}::text as network, ${recipient}::text as recipient) as box ${summary(sql)} ${withheld(sql)}`
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
      entry.expires_at as "expiresAt", nullif(entry.key_id, ${MALFORMED}) as "keyId", ${isWithheld(sql)} as withheld,
      entry.key_id is not distinct from ${MALFORMED} as "isMalformed",
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
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const rows = await tx<(QueueSize & { isSignaling: boolean })[]>`
      select network = 'signaling' as "isSignaling", count(*) as entries, sum(size_bytes)::bigint as bytes
      from queue_entry group by 1`
    const of = (isSignaling: boolean) => rows.find((row) => row.isSignaling === isSignaling) ?? { entries: 0, bytes: 0 }
    return { signaling: of(true), l2ps: of(false) }
  }) as Promise<Record<'signaling' | 'l2ps', QueueSize>>
}

/** What waits in each network that has anything waiting. Takes `ms` at most. */
export async function countNetworks(sql: Sql, ms: number): Promise<Map<string, QueueSize>> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const rows = await tx<(QueueSize & { network: string })[]>`
      select network, count(*) as entries, sum(size_bytes)::bigint as bytes from queue_entry group by network`
    return new Map(rows.map(({ network, entries, bytes }) => [network, { entries, bytes }]))
  }) as Promise<Map<string, QueueSize>>
}

/** When the oldest waiting message of each protocol was accepted (ms since 1970). Each is one step into an index of its own. */
export async function oldestInQueue(sql: Sql): Promise<{ signaling: number | undefined; l2ps: number | undefined }> {
  const [row] = await sql<{ signaling: number | null; l2ps: number | null }[]>`
    select
      (select accepted_at from queue_entry where network = 'signaling' order by expires_at limit 1) as signaling,
      (select accepted_at from queue_entry where network <> 'signaling' order by expires_at limit 1) as l2ps`
  return { signaling: row?.signaling ?? undefined, l2ps: row?.l2ps ?? undefined }
}
