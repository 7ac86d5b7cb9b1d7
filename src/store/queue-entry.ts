import { hash } from 'node:crypto'
import type { AnySql, Sql, TransactionSql } from '../database/database.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { recordGiven } from './audit-inbox.ts'
import { noteGivenUp } from './given-up.ts'
import { releaseSlots, type SlotUse, takeSlots } from './quota.ts'
import { FEW_ROWS, numberColumn, parametersOf, remembered, textColumns } from './rows.ts'

/** A message as its sender hands it over. */
export interface Message {
  readonly network: string
  readonly sender: string
  readonly recipient: string
  /** What its sender calls it (`messageHash`): a retry carries the same one. Null where the protocol has no such name. */
  readonly digest: string | null
  /** The body: JSON text, opaque, stored and passed on as it came. */
  readonly sealed: string
  /** Length of `sealed` in bytes of UTF-8. */
  readonly bytes: number
  /** Encryption key of the recipient it is sealed for (its key id); null when none is known. */
  readonly keyId: string | null
}

/** In the place of a key id: sealed for no known key, and no body that the recipient's client could open. */
export const MALFORMED = 'malformed'

/** A message in its recipient's mailbox, or on its way into it. */
export interface QueueEntry extends Message {
  /** Place in the mailbox: grows in the order of acceptance. 0 until Postgres has said it. */
  seq: number
  /** Holds a place in the quotas of sender and recipient: the recipient is away. */
  readonly slot: boolean
  /** ms since 1970. */
  readonly acceptedAt: number
  /** How often it was sent to a session that ended without a receipt. */
  readonly deliveries: number
  /** Its recipient had sessions at other relays too, when it was committed: each of these relays owes a receipt. */
  readonly isShared?: boolean | undefined
}

/** Whose mailbox. */
export type MailboxName = Pick<QueueEntry, 'network' | 'recipient'>

export interface StoreOptions {
  /** Is the audit trail told of every message? */
  readonly isAudited: boolean
  /** How long a message may wait, in ms. */
  readonly ttlMs: number
}

/**
 * Stores entries of one network that hold their body themselves, in the order given, and what the audit trail keeps of
 * them; returns them with their places.
 */
export async function insertEntries(
  sql: AnySql,
  entries: readonly QueueEntry[],
  options: StoreOptions
): Promise<QueueEntry[]> {
  const network = entries[0]?.network
  if (network === undefined) return []
  if (entries.some((entry) => entry.network !== network)) throw new RangeError('entries of several networks')
  const rows = await (entries.length <= FEW_ROWS ? insertFew : insertMany)(sql, network, entries, options)
  for (const [index, entry] of entries.entries()) entry.seq = rows[index]!.seq
  return [...entries]
}

/** Hashed here: it costs Postgres several times as much. */
const digestOf = ({ sealed }: QueueEntry) => hash('sha256', sealed)

function insertMany(sql: AnySql, network: string, entries: readonly QueueEntry[], { isAudited, ttlMs }: StoreOptions) {
  const { separator, ...text } = textColumns(entries, {
    senders: (e) => e.sender,
    recipients: (e) => e.recipient,
    keyIds: (e) => e.keyId ?? '',
    bodies: (e) => e.sealed
  })
  const digests = isAudited ? entries.map(digestOf).join(separator) : ''
  // Nothing sorts: set-returning functions in FROM give their rows in order, so numbers are given in it.
  return sql<{ seq: number }[]>`
    with given as materialized (
      select ${network} as network, string_to_array(${text.senders}, ${separator}) as senders,
        string_to_array(${text.recipients}, ${separator}) as recipients,
        ${numberColumn(entries, (e) => e.bytes)}::text::bigint[] as sizes,
        ${numberColumn(entries, (e) => e.acceptedAt)}::text::bigint[] as accepted_at
    ), stored as (
      insert into queue_entry (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
      select network, sender, recipient, nullif(key_id, ''), sealed, size_bytes, slot <> 0, e.accepted_at,
        e.accepted_at + ${ttlMs}::bigint
      from given cross join lateral rows from (
        unnest(senders), unnest(recipients), unnest(sizes), unnest(given.accepted_at),
        string_to_table(${text.keyIds}, ${separator}), string_to_table(${text.bodies}, ${separator}),
        unnest(${numberColumn(entries, (e) => (e.slot ? 1 : 0))}::text::bigint[]))
        as e (sender, recipient, size_bytes, accepted_at, key_id, sealed, slot)
      returning seq
    )${isAudited ? sql`, recorded as (${recordGiven(sql, digests, separator)})` : sql``}
    select seq from stored order by seq`
}

/** The same for a few: taking columns apart costs Postgres more than storing one row. */
function insertFew(sql: AnySql, network: string, entries: readonly QueueEntry[], { isAudited, ttlMs }: StoreOptions) {
  const values: (string | number | boolean | null)[] = [network]
  for (const { sender, recipient, keyId, sealed, bytes, slot, acceptedAt } of entries) {
    values.push(sender, recipient, keyId, sealed, bytes, slot, acceptedAt, acceptedAt + ttlMs)
  }
  if (isAudited) for (const entry of entries) values.push(digestOf(entry))
  return sql.unsafe<{ seq: number }[]>(textForFew(entries.length, isAudited), values, { prepare: true })
}

/** Of the statement for so many entries. Written once, so that it stays prepared. */
const textForFew = remembered((rows: number, isAudited: boolean): string => {
  const row = parametersOf(rows, 8, 2)
  const column = (place: number) => row.map((parameters) => parameters[place - 1]).join(', ')
  const digests = Array.from({ length: rows }, (_, index) => `$${2 + 8 * rows + index}`)
  const recorded = `, recorded as (
      insert into audit_inbox (network, count, senders, recipients, digests, sizes, accepted_at)
      values ($1, ${rows}, array[${column(1)}], array[${column(2)}], array[${digests}]::text[],
        array[${column(5)}]::bigint[], array[${column(7)}]))`
  return `
    with stored as (
      insert into queue_entry (network, sender, recipient, key_id, sealed, size_bytes, slot, accepted_at, expires_at)
      values ${row.map((parameters) => `($1, ${parameters.join(', ')})`).join(', ')}
      returning seq
    )${isAudited ? recorded : ''}
    select seq from stored order by seq`
})

/** What a mailbox holds. */
export interface StoredContents {
  readonly entries: number
  readonly bytes: number
  /** Places of the first entry and of the last; 0: it is empty. */
  readonly firstSeq: number
  readonly lastSeq: number
}

/**
 * What these mailboxes hold after a place, for whatever key. Reads every entry of them, deleted ones that are not vacuumed
 * among them: mostly they are empty.
 */
export async function mailboxContents(
  sql: Sql,
  boxes: readonly (MailboxName & { readonly afterSeq: number })[]
): Promise<StoredContents[]> {
  const { separator, network, recipient } = textColumns(boxes, {
    network: (box) => box.network,
    recipient: (box) => box.recipient
  })
  return sql<StoredContents[]>`
    select contents.*
    from rows from (string_to_table(${network}, ${separator}), string_to_table(${recipient}, ${separator}),
        unnest(${numberColumn(boxes, (box) => box.afterSeq)}::text::bigint[]))
      with ordinality as box (network, recipient, after_seq, place)
      cross join lateral (
        select count(*) as entries, coalesce(sum(size_bytes), 0)::bigint as bytes,
          coalesce(min(seq), 0) as "firstSeq", coalesce(max(seq), 0) as "lastSeq"
        from queue_entry
        where (queue_entry.network, queue_entry.recipient) = (box.network, box.recipient)
          and queue_entry.seq > box.after_seq) as contents
    order by place`
}

export interface Page {
  readonly afterSeq: number
  /** Places that are left out. */
  readonly known: readonly number[]
  readonly limit: number
  readonly maxBytes: number
  /** ms since 1970. */
  readonly now: number
  /** Entries that more sessions than this did not receipt are set aside: not sent until they are queued again. */
  readonly mostDeliveries: number
  /** In a cluster: the relay that reads, and the epoch of the peer's place there. */
  readonly place?: { readonly relay: string; readonly epoch: number } | undefined
}

/**
 * The next entries of a mailbox after `afterSeq` that were sealed for `keyId` (or for no known key), oldest first:
 * at most `limit`, and no more once `maxBytes` are reached, but always the first. Rejects with `NoPlace` when the client id
 * has another place now than `place`: that is no empty mailbox.
 */
export async function takePage(
  sql: Sql,
  mailbox: MailboxName & { readonly keyId: string | null },
  page: Page
): Promise<QueueEntry[]> {
  const { place } = page
  const entries = sql`
    select ${entryColumns(sql)}${place === undefined ? sql`` : sql`, ${isShared(sql, place.relay)} as "isShared"`}
    from (
      select *, sum(size_bytes) over (order by seq) - size_bytes as before from (
        select * from queue_entry
        where network = ${mailbox.network} and recipient = ${mailbox.recipient} and seq > ${page.afterSeq}
          ${page.known.length === 0 ? sql`` : sql`and seq not in (select unnest(${numberColumn(page.known, (seq) => seq)}::text::bigint[]))`}
          and (key_id is null or key_id = ${mailbox.keyId}) and deliveries <= ${page.mostDeliveries}
          and expires_at + 0 > ${page.now} -- a sum: the index of expiry, which has the whole table, is none to choose
        order by seq limit ${page.limit}) as head) as entry
      left join message on message.seq = entry.seq
    where before < ${page.maxBytes}
    order by entry.seq`
  // Peers of an L2PS may be in several places, so none of them is ever lost to another.
  if (place === undefined || mailbox.network !== SIGNALING_NETWORK) return sql<QueueEntry[]>`${entries}`
  const { network, recipient } = mailbox
  const rows = await sql<(QueueEntry | { seq: null })[]>`
    select page.* from session left join lateral (${entries}) as page on true
    where session.network = ${network} and session.peer = ${recipient}
      and session.relay = ${place.relay}::uuid and session.epoch = ${place.epoch}
    order by page.seq`
  if (rows.length === 0) throw new NoPlace()
  return rows.filter((row): row is QueueEntry => row.seq !== null)
}

/** The client id has another place than the one its session knows. */
export class NoPlace extends Error {
  constructor() {
    super('the client id has another place')
  }
}

/** The entries at these places that are still in their mailboxes, for peers of a relay: in the order of their places. */
export async function takeEntries(sql: Sql, seqs: readonly number[]): Promise<QueueEntry[]> {
  return sql<QueueEntry[]>`
    select ${entryColumns(sql)}
    from queue_entry as entry left join message on message.seq = entry.seq
    where entry.seq + 0 = any(${seqs as number[]}::bigint[])
    order by entry.seq`
}

const entryColumns = (sql: Sql) => sql`
  entry.seq, entry.network, entry.sender, entry.recipient, message.message_hash as digest,
  coalesce(entry.sealed, message.sealed) as sealed, entry.size_bytes as bytes, entry.key_id as "keyId", entry.slot,
  entry.accepted_at as "acceptedAt", entry.deliveries`

const isShared = (sql: Sql, relay: string) => sql`exists (
  select from session where session.network = entry.network and session.peer = entry.recipient
    and session.relay <> ${relay}::uuid and (session.left_at is null or session.owed_seq is not null))`

/**
 * Takes received entries out of their mailboxes and gives back the places they hold in quotas. Entries that are gone
 * already do not count twice. Mostly none holds a place, and one short statement does it. Returns how many it deleted.
 */
export async function releaseEntries(sql: Sql, seqs: readonly number[]): Promise<number> {
  const plain = await sql`delete from queue_entry where seq + 0 = any(${seqs as number[]}::bigint[]) and not slot`
  if (plain.count === seqs.length) return plain.count
  const slotted = await sql.begin(async (tx) => {
    const uses = await tx<SlotUse[]>`
      delete from queue_entry where seq + 0 = any(${seqs as number[]}::bigint[])
      returning network, sender, recipient, size_bytes as bytes`
    await releaseSlots(tx, uses)
    return uses.length
  })
  return plain.count + slotted
}

/** Withholds entries without a key id from their recipients, as malformed. */
export async function withholdMalformed(sql: Sql, seqs: readonly number[]): Promise<void> {
  await sql`
    update queue_entry set key_id = ${MALFORMED}
    where seq + 0 = any(array(
      select seq from queue_entry where seq + 0 = any(${seqs as number[]}::bigint[]) and key_id is null for update skip locked))`
}

/** Malformed entries of a mailbox are judged again at their next delivery: its owner has another client now, perhaps. */
export async function judgeMalformedAgain(tx: TransactionSql, { network, recipient }: MailboxName): Promise<void> {
  await tx`
    update queue_entry set key_id = null
    where network = ${network} and recipient = ${recipient} and key_id = ${MALFORMED}`
}

/** As many as `deliveries` can count. */
export const MOST_DELIVERIES = 32_767

/** A session of a peer has ended. */
export interface EndedSession extends MailboxName {
  /** Places of what it was sent and has not receipted. */
  readonly unreceipted: readonly number[]
  /** Was it the last one: is the peer away now? */
  readonly isLast: boolean
}

/**
 * Notes that sessions ended: what they did not receipt was sent once more in vain, and what waits for a peer that is away
 * now takes its place in the quotas, also past their limits. Passes over entries that are locked: they are being deleted,
 * or queued again. So it waits for no entry, and cannot be in a deadlock with a release of the same entries.
 */
export async function noteEnded(sql: Sql, ended: readonly EndedSession[]): Promise<void> {
  const unreceipted = ended.flatMap((session) => session.unreceipted)
  const boxes = ended.filter(({ isLast }) => isLast)
  await sql.begin(async (tx) => {
    if (unreceipted.length > 0) {
      await tx`
        update queue_entry set deliveries = least(deliveries, ${MOST_DELIVERIES - 1}) + 1
        where seq + 0 = any(array(
          select seq from queue_entry where seq + 0 = any(${unreceipted}::bigint[]) for update skip locked))`
    }
    if (boxes.length > 0) await takeSlotsIn(tx, boxes)
  })
}

/**
 * Gives every entry of these mailboxes its place in the quotas. What is locked is passed over, as in `noteEnded`. The lock
 * in the subquery has Postgres read one mailbox after the other; it might carry out a join by reading the whole table.
 */
async function takeSlotsIn(tx: TransactionSql, boxes: readonly MailboxName[]): Promise<void> {
  const { separator, network, recipient } = textColumns(boxes, {
    network: (box) => box.network,
    recipient: (box) => box.recipient
  })
  const uses = await tx<SlotUse[]>`
    update queue_entry set slot = true
    where seq + 0 = any(array(
      select entry.seq
      from rows from (string_to_table(${network}, ${separator}), string_to_table(${recipient}, ${separator}))
        as box (network, recipient)
        cross join lateral (
          select seq from queue_entry
          where queue_entry.network = box.network and queue_entry.recipient = box.recipient and not slot
          for update skip locked) as entry)) and not slot
    returning network, sender, recipient, size_bytes as bytes`
  await takeSlots(tx, uses)
}

/**
 * Gives every entry for a peer that is away its place in the quotas: the last server may have ended without noting so.
 * Reads the whole table.
 */
export async function takeAllSlots(sql: Sql): Promise<number> {
  return sql.begin(async (tx) => {
    await tx`set local statement_timeout = 0`
    await tx`set local enable_seqscan = on`
    const uses = await tx<SlotUse[]>`
      update queue_entry as entry set slot = true where not slot and not exists (
        select from session join relay on relay.id = session.relay and relay.lease_until > now()
        where session.network = entry.network and session.peer = entry.recipient and session.left_at is null)
      returning network, sender, recipient, size_bytes as bytes`
    await takeSlots(tx, uses)
    return uses.length
  }) as Promise<number>
}

/** An entry that was deleted. */
export type GoneEntry = Pick<QueueEntry, 'seq' | 'network' | 'recipient' | 'bytes'>

/**
 * Deletes up to `limit` entries of each protocol that are past their time, gives their places in quotas back and notes them
 * in history; returns them.
 */
export async function expireEntries(sql: Sql, now: number, limit: number): Promise<GoneEntry[]> {
  return sql.begin(async (tx) => {
    const gone = await tx<(SlotUse & GoneEntry & { slot: boolean })[]>`
      delete from queue_entry where seq + 0 = any(
        array(select seq from queue_entry where network = 'signaling' and expires_at <= ${now}
          order by expires_at limit ${limit} for update skip locked) ||
        array(select seq from queue_entry where network <> 'signaling' and expires_at <= ${now}
          order by expires_at limit ${limit} for update skip locked))
      returning seq, network, sender, recipient, size_bytes as bytes, slot`
    await noteGivenUp(tx, gone, 'expired')
    await releaseSlots(
      tx,
      gone.filter((entry) => entry.slot)
    )
    return [...gone]
  }) as Promise<GoneEntry[]>
}
