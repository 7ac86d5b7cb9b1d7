import { hash } from 'node:crypto'
import { numberColumn, textColumns } from '../database/columns.ts'
import type { AnySql, Sql } from '../database/database.ts'
import { recordGiven } from './audit-inbox.ts'
import { releaseSlots, type SlotUse } from './quota.ts'

/** A message at rest in its recipient's mailbox. */
export interface QueueEntry {
  /** Place in the mailbox: grows in the order of acceptance. */
  readonly seq: number
  readonly network: string
  readonly sender: string
  readonly recipient: string
  /** What its sender calls it (`messageHash`); null where the protocol has no such name. */
  readonly digest: string | null
  /** JSON text, opaque. */
  readonly sealed: string
  /** Length of `sealed` in bytes of UTF-8. */
  readonly bytes: number
  /** Encryption key of the recipient it was sealed for; null when none was known. */
  readonly keyId: string | null
  /** Holds a place in the quotas of sender and recipient. */
  readonly slot: boolean
  /** ms since 1970. */
  readonly acceptedAt: number
}

/** An entry that is being stored: `seq` is filled in when Postgres has said it. */
export type NewEntry = QueueEntry & { seq: number; readonly expiresAt: number }

/** Whose mailbox. */
export type MailboxName = Pick<QueueEntry, 'network' | 'recipient'>

/** Which entry, and whether it holds a slot. */
export type EntryRef = Pick<QueueEntry, 'seq' | 'slot'>

/**
 * Stores entries of one network that hold their body themselves, in the order given, and what the audit trail keeps of
 * them; returns them with their places.
 */
export async function insertEntries(
  sql: AnySql,
  entries: readonly NewEntry[],
  isAudited: boolean
): Promise<QueueEntry[]> {
  const network = entries[0]?.network
  if (network === undefined) return []
  if (entries.some((entry) => entry.network !== network)) throw new RangeError('entries of several networks')
  const { separator, ...text } = textColumns(entries, {
    senders: (e) => e.sender,
    recipients: (e) => e.recipient,
    keyIds: (e) => e.keyId ?? '',
    bodies: (e) => e.sealed
  })
  // Nothing sorts: set-returning functions in FROM give their rows in order, so numbers are given in it.
  // Hashed here: it costs Postgres several times as much.
  const digests = isAudited ? entries.map(({ sealed }) => hash('sha256', sealed)).join(separator) : ''
  const rows = await sql<{ seq: number }[]>`
    with given as materialized (
      select ${network} as network, string_to_array(${text.senders}, ${separator}) as senders,
        string_to_array(${text.recipients}, ${separator}) as recipients,
        ${numberColumn(entries, (e) => e.bytes)}::text::bigint[] as sizes,
        ${numberColumn(entries, (e) => e.acceptedAt)}::text::bigint[] as accepted_at
    ), stored as (
      insert into queue_entry (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
      select network, sender, recipient, nullif(key_id, ''), sealed, size_bytes, slot <> 0, e.accepted_at, expires_at
      from given cross join lateral rows from (
        unnest(senders), unnest(recipients), unnest(sizes), unnest(given.accepted_at),
        string_to_table(${text.keyIds}, ${separator}), string_to_table(${text.bodies}, ${separator}),
        unnest(${numberColumn(entries, (e) => (e.slot ? 1 : 0))}::text::bigint[]),
        unnest(${numberColumn(entries, (e) => e.expiresAt)}::text::bigint[]))
        as e (sender, recipient, size_bytes, accepted_at, key_id, sealed, slot, expires_at)
      returning seq
    )${isAudited ? sql`, recorded as (${recordGiven(sql, digests, separator)})` : sql``}
    select seq from stored order by seq`
  for (const [index, entry] of entries.entries()) entry.seq = rows[index]!.seq
  return [...entries]
}

/** Is there anything in these mailboxes, for whatever key? */
export async function areFilled(sql: Sql, boxes: readonly MailboxName[]): Promise<boolean[]> {
  const { separator, network, recipient } = textColumns(boxes, {
    network: (box) => box.network,
    recipient: (box) => box.recipient
  })
  const filled = await sql<{ place: number }[]>`
    select place
    from rows from (string_to_table(${network}, ${separator}), string_to_table(${recipient}, ${separator}))
      with ordinality as box (network, recipient, place)
      cross join lateral (
        select from queue_entry
        where (queue_entry.network, queue_entry.recipient) = (box.network, box.recipient)
        limit 1) as entry`
  const places = new Set(filled.map(({ place }) => place))
  return boxes.map((_box, index) => places.has(index + 1))
}

/**
 * The next entries of a mailbox after `afterSeq` that were sealed for `keyId` (or for no known key), oldest first:
 * at most `limit`, and no more once `maxBytes` are reached, but always the first.
 */
export async function takePage(
  sql: Sql,
  mailbox: { network: string; recipient: string; keyId: string | null },
  page: { afterSeq: number; limit: number; maxBytes: number; now: number }
): Promise<QueueEntry[]> {
  return sql<QueueEntry[]>`
    select entry.seq, entry.network, entry.sender, entry.recipient, message.message_hash as digest,
      coalesce(entry.sealed, message.sealed) as sealed, entry.size_bytes as bytes, entry.key_id as "keyId", entry.slot,
      entry.accepted_at as "acceptedAt"
    from (
      select *, sum(size_bytes) over (order by seq) - size_bytes as before from (
        select * from queue_entry
        where network = ${mailbox.network} and recipient = ${mailbox.recipient} and seq > ${page.afterSeq}
          and (key_id is null or key_id = ${mailbox.keyId})
          and expires_at + 0 > ${page.now} -- a sum: the index of expiry, which has the whole table, is none to choose
        order by seq limit ${page.limit}) as head) as entry
      left join message on message.seq = entry.seq
    where before < ${page.maxBytes}
    order by entry.seq`
}

/** Takes received entries out of their mailboxes and gives their slots back. Entries that are gone already do not count twice. */
export async function releaseEntries(sql: Sql, refs: readonly EntryRef[]): Promise<number> {
  const plain = refs.filter((ref) => !ref.slot)
  const slotted = refs.filter((ref) => ref.slot)
  const released = plain.length > 0 ? (await deleteEntries(sql, plain)).count : 0
  if (slotted.length === 0) return released
  const gone = await sql.begin(async (tx) => {
    const uses = await deleteEntries(tx, slotted, sql`returning network, sender, recipient, size_bytes as bytes`)
    await releaseSlots(tx, uses)
    return uses.length
  })
  return released + gone
}

const deleteEntries = (sql: AnySql, refs: readonly EntryRef[], returning = sql``) =>
  sql<SlotUse[]>`delete from queue_entry where seq = any(${refs.map(({ seq }) => seq)}::bigint[]) ${returning}`

/** Deletes up to `limit` entries past their time and gives their slots back; returns how many. */
export async function expireEntries(sql: Sql, now: number, limit: number): Promise<number> {
  return sql.begin(async (tx) => {
    const gone = await tx<(SlotUse & { seq: number; slot: boolean })[]>`
      delete from queue_entry where seq = any(array(
        select seq from queue_entry where expires_at <= ${now}
        order by expires_at limit ${limit} for update skip locked))
      returning seq, network, sender, recipient, size_bytes as bytes, slot`
    await tx`update message set delivery = 'expired' where seq = any(${gone.map((entry) => entry.seq)}::bigint[])`
    const slotted = gone.filter((entry) => entry.slot)
    await releaseSlots(tx, slotted)
    return gone.length
  }) as Promise<number>
}
