import { createHash, randomUUID } from 'node:crypto'
import type { AnySql, Sql } from './database.ts'
import type { NewEntry } from './queue-entry.ts'

/** A message on its way into history: an entry with its place in a conversation. */
export interface NewMessage {
  readonly entry: NewEntry
  /** Uuid of the conversation, see conversationId(). */
  readonly conversation: string
  /** ms since 1970, later than everything in the conversation. */
  readonly sentAt: number
}

/** A message as history has it. */
export interface StoredMessage {
  readonly id: string
  readonly sender: string
  readonly recipient: string
  readonly messageHash: string
  /** JSON text, opaque. */
  readonly sealed: string
  readonly bytes: number
  readonly sentAt: number
  readonly delivery: 'accepted' | 'expired' | 'purged'
  /** Is it still in its mailbox? */
  readonly waiting: boolean
  readonly rollup: 'none' | 'pending' | 'batched' | 'confirmed'
}

/** What is stored under a digest already. */
export interface Earlier {
  readonly sealed: string
  readonly waiting: boolean
}

/** Names what two peers of a network say to each other, whoever says it: the first 128 bits of a SHA-256, as a uuid. */
export function conversationId(network: string, a: string, b: string): string {
  const [low, high] = a < b ? [a, b] : [b, a]
  return createHash('sha256').update(`${network}\n${low}\n${high}`).digest('hex').slice(0, 32)
}

/**
 * Stores messages and their mailbox entries in one statement, in the order given. Returns the sequence numbers by index;
 * an index is missing when the message, or its place in the conversation, was there before.
 */
export async function insertMessages(sql: AnySql, messages: readonly NewMessage[]): Promise<Map<number, number>> {
  const entries = messages.map((message) => message.entry)
  const ids = entries.map(() => randomUUID())
  const rows = await sql<{ place: number; seq: number }[]>`
    with input as materialized (
      select * from unnest(
        ${ids}::uuid[], ${messages.map((m) => m.conversation)}::uuid[], ${messages.map((m) => m.sentAt)}::bigint[],
        ${entries.map((e) => e.network)}::text[], ${entries.map((e) => e.sender)}::text[],
        ${entries.map((e) => e.recipient)}::text[], ${entries.map((e) => e.digest)}::text[],
        ${entries.map((e) => e.sealed)}::text[], ${entries.map((e) => e.bytes)}::int[],
        ${sql.array(
          entries.map((e) => e.slot),
          BOOLEAN
        )}::boolean[], ${entries.map((e) => e.acceptedAt)}::bigint[],
        ${entries.map((e) => e.expiresAt)}::bigint[])
        with ordinality as i (id, conversation, sent_at, network, sender, recipient, message_hash, sealed, size_bytes,
          slot, accepted_at, expires_at, place)
    ), kept as (
      insert into message (id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
      select id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at
      from input order by place
      on conflict do nothing
      returning seq, id
    ), queued as (
      insert into queue_entry (seq, network, sender, recipient, size_bytes, slot, accepted_at, expires_at)
      select kept.seq, network, sender, recipient, size_bytes, slot, accepted_at, expires_at
      from kept join input using (id)
    )
    select place, seq from kept join input using (id)`
  return new Map(rows.map((row) => [row.place - 1, row.seq]))
}

/** pg_type.oid: the driver would take a list that begins with a boolean for one boolean. */
const BOOLEAN = 16

/** What is stored under the conversation, digest and sender of each of these, by index. */
export async function findEarlier(sql: AnySql, messages: readonly NewMessage[]): Promise<Map<number, Earlier>> {
  const rows = await sql<(Earlier & { place: number })[]>`
    select place, message.sealed, exists (
        select from queue_entry as entry
        where entry.network = message.network and entry.recipient = message.recipient and entry.seq = message.seq
      ) as waiting
    from unnest(
      ${messages.map((m) => m.conversation)}::uuid[], ${messages.map((m) => m.entry.digest)}::text[],
      ${messages.map((m) => m.entry.sender)}::text[])
      with ordinality as i (conversation, message_hash, sender, place)
      join message using (conversation, message_hash, sender)`
  return new Map(rows.map(({ place, ...earlier }) => [place - 1, earlier]))
}

/** The time of the last message of each conversation that has one. */
export async function lastSentAt(sql: AnySql, conversations: readonly string[]): Promise<Map<string, number>> {
  const rows = await sql<{ conversation: string; sentAt: number }[]>`
    select replace(conversation::text, '-', '') as conversation, last.sent_at as "sentAt"
    from unnest(${conversations}::uuid[]) as c (conversation)
      cross join lateral (
        select sent_at from message where message.conversation = c.conversation order by sent_at desc limit 1) as last`
  return new Map(rows.map((row) => [row.conversation, row.sentAt]))
}

/**
 * A conversation before a time (ms, exclusive; undefined: from its end), newest first: at most `limit`, and no more once
 * `maxBytes` are reached, but always the first.
 */
export async function readHistory(
  sql: Sql,
  conversation: string,
  page: { before: number | undefined; limit: number; maxBytes: number }
): Promise<StoredMessage[]> {
  return sql<StoredMessage[]>`
    select id, sender, recipient, message_hash as "messageHash", sealed, size_bytes as bytes, sent_at as "sentAt",
      delivery, rollup, exists (
        select from queue_entry as entry
        where entry.network = sized.network and entry.recipient = sized.recipient and entry.seq = sized.seq
      ) as waiting
    from (
      select *, sum(size_bytes) over (order by sent_at desc) - size_bytes as after from (
        select * from message
        where conversation = ${conversation} and sent_at < ${page.before ?? Number.MAX_SAFE_INTEGER}
        order by sent_at desc limit ${page.limit}) as head) as sized
    where after < ${page.maxBytes}
    order by sent_at desc`
}

/** Deletes up to `limit` messages older than a time (ms) that wait for nobody; returns how many. */
export async function deleteOldMessages(sql: Sql, before: number, limit: number): Promise<number> {
  const gone = await sql`
    delete from message where seq in (
      select seq from message where sent_at < ${before} and not exists (
        select from queue_entry as entry
        where entry.network = message.network and entry.recipient = message.recipient and entry.seq = message.seq)
      limit ${limit} for update skip locked)`
  return gone.count
}
