import type { AnySql, Sql } from './database.ts'
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

/** A mailbox entry's address. */
export interface EntryRef {
  readonly network: string
  readonly recipient: string
  readonly seq: number
  readonly slot: boolean
}

/** pg_type.oid: the driver would take a list that begins with a boolean for one boolean. */
const BOOLEAN = 16

/** Stores entries that hold their body themselves, in the order given; returns them with their places. */
export async function insertEntries(sql: AnySql, entries: readonly NewEntry[]): Promise<QueueEntry[]> {
  const rows = await sql<{ seq: number }[]>`
    insert into queue_entry (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
    select network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at
    from unnest(
      ${entries.map((e) => e.network)}::text[], ${entries.map((e) => e.sender)}::text[],
      ${entries.map((e) => e.recipient)}::text[], ${entries.map((e) => e.keyId)}::text[],
      ${entries.map((e) => e.sealed)}::text[], ${entries.map((e) => e.bytes)}::int[],
      ${sql.array(
        entries.map((e) => e.slot),
        BOOLEAN
      )}::boolean[], ${entries.map((e) => e.acceptedAt)}::bigint[],
      ${entries.map((e) => e.expiresAt)}::bigint[])
      with ordinality as e (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at, place)
    order by place
    returning seq`
  for (const [index, entry] of entries.entries()) entry.seq = rows[index]!.seq
  return [...entries]
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
          and (key_id is null or key_id = ${mailbox.keyId}) and expires_at > ${page.now}
        order by seq limit ${page.limit}) as head) as entry
      left join message on message.seq = entry.seq
    where before < ${page.maxBytes}
    order by entry.seq`
}

/** Takes received entries out of their mailboxes and gives their slots back. Entries that are gone already do not count twice. */
export async function releaseEntries(sql: Sql, refs: readonly EntryRef[]): Promise<number> {
  const plain = refs.filter((ref) => !ref.slot)
  const slotted = refs.filter((ref) => ref.slot)
  let released = 0
  if (plain.length > 0) released += (await deleteEntries(sql, plain)).length
  if (slotted.length > 0) {
    await sql.begin(async (tx) => {
      const gone = await deleteEntries(tx, slotted)
      await releaseSlots(tx, gone)
      released += gone.length
    })
  }
  return released
}

function deleteEntries(sql: AnySql, refs: readonly EntryRef[]): PromiseLike<SlotUse[]> {
  return sql<SlotUse[]>`
    delete from queue_entry as q
    using unnest(${refs.map((r) => r.network)}::text[], ${refs.map((r) => r.recipient)}::text[],
      ${refs.map((r) => r.seq)}::bigint[]) as r (network, recipient, seq)
    where q.network = r.network and q.recipient = r.recipient and q.seq = r.seq
    returning q.network, q.sender, q.recipient, q.size_bytes as bytes`
}

/** Deletes up to `limit` entries past their time and gives their slots back; returns how many. */
export async function expireEntries(sql: Sql, now: number, limit: number): Promise<number> {
  return sql.begin(async (tx) => {
    const gone = await tx<(SlotUse & { seq: number; slot: boolean })[]>`
      delete from queue_entry where (network, recipient, seq) in (
        select network, recipient, seq from queue_entry where expires_at <= ${now}
        order by expires_at limit ${limit} for update skip locked)
      returning seq, network, sender, recipient, size_bytes as bytes, slot`
    await tx`update message set delivery = 'expired' where seq = any(${gone.map((entry) => entry.seq)}::bigint[])`
    const slotted = gone.filter((entry) => entry.slot)
    await releaseSlots(tx, slotted)
    return gone.length
  }) as Promise<number>
}
