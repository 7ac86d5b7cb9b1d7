import { createHash, randomUUID } from 'node:crypto'
import type { AnySql, Sql } from '../database/database.ts'
import { rollupColumns, rollupJoin } from './audit-entry.ts'
import { recordStored } from './audit-inbox.ts'
import type { QueueEntry, StoreOptions } from './queue-entry.ts'
import { FEW_ROWS, numberColumn, parametersOf, remembered, textColumns } from './rows.ts'

/** A message on its way into history: an entry with its place in a conversation. */
export interface NewMessage {
  readonly entry: QueueEntry
  /** Uuid of the conversation, see conversationId(). */
  readonly conversation: string
  /** ms since 1970, later than everything that this relay has stored in the conversation. */
  readonly sentAt: number
}

/** A message that was stored before under the same digest. */
export interface Earlier {
  readonly seq: number
  readonly sealed: string
  readonly waiting: boolean
  /** It expired or was purged. */
  readonly wasGivenUp: boolean
}

/** The conversation of two peers of a network, in both directions: the first 128 bits of a SHA-256, as a uuid. */
export function conversationId(network: string, a: string, b: string): string {
  const [low, high] = a < b ? [a, b] : [b, a]
  return createHash('sha256').update(`${network}\n${low}\n${high}`).digest('hex').slice(0, 32)
}

/**
 * Stores messages, their mailbox entries and what the audit trail keeps of them in one statement, in the order given.
 * Returns the sequence numbers by index. Where a message was there before: its index is missing, or, when `isNew`
 * promises that there is none, the statement fails as a whole, which makes it cheaper.
 */
export async function insertMessages(
  sql: AnySql,
  messages: readonly NewMessage[],
  { ttlMs, isAudited }: StoreOptions,
  isNew: boolean
): Promise<Map<number, number>> {
  if (messages.length === 0) return new Map()
  const values = messages.length <= FEW_ROWS ? valuesOf(messages) : columnsOf(messages)
  const rows = messages.length <= FEW_ROWS ? messages.length : 0
  const text = textForMessages(rows, isNew, isAudited)
  const stored = await sql.unsafe<{ place: number; seq: number }[]>(text, [ttlMs, ...values], { prepare: true })
  return new Map(stored.map(({ place, seq }) => [place - 1, seq]))
}

const valuesOf = (messages: readonly NewMessage[]): (string | number | boolean)[] =>
  messages.flatMap(({ entry, conversation, sentAt }) => [
    ...[randomUUID(), conversation, entry.network, entry.sender, entry.recipient, entry.digest ?? '', entry.sealed],
    ...[sentAt, entry.bytes, entry.slot, entry.acceptedAt]
  ])

/** In the order of `valuesOf`, and what separates the texts. */
function columnsOf(messages: readonly NewMessage[]): string[] {
  const { separator, ...text } = textColumns(messages, {
    id: () => randomUUID(),
    conversation: (m) => m.conversation,
    network: (m) => m.entry.network,
    sender: (m) => m.entry.sender,
    recipient: (m) => m.entry.recipient,
    digest: (m) => m.entry.digest ?? '',
    sealed: (m) => m.entry.sealed
  })
  const numbers = [
    numberColumn(messages, (m) => m.sentAt),
    numberColumn(messages, (m) => m.entry.bytes),
    numberColumn(messages, (m) => (m.entry.slot ? 1 : 0)),
    numberColumn(messages, (m) => m.entry.acceptedAt)
  ]
  const { id, conversation, network, sender, recipient, digest, sealed } = text
  return [id, conversation, network, sender, recipient, digest, sealed, ...numbers, separator]
}

const COLUMNS = [
  ...['id', 'conversation', 'network', 'sender', 'recipient', 'message_hash', 'sealed'],
  ...['sent_at', 'size_bytes', 'slot', 'accepted_at']
]
/** As the columns of `values`: of the first row, which says it for all. */
const TYPES = ['uuid', 'uuid', 'text', 'text', 'text', 'text', 'text', 'bigint', 'integer', 'boolean', 'bigint']

/** Of the statement for so many messages, by `values`; 0: for any number, by columns. $1: how long they may wait. */
const textForMessages = remembered((rows: number, isNew: boolean, isAudited: boolean): string => {
  const stored = isNew ? 'input' : 'kept join input using (seq)'
  return `
    with input (seq, ${COLUMNS.join(', ')}, place) as materialized (${rows === 0 ? MANY : fewRows(rows)}
    ), kept as (
      insert into message (seq, id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
      select seq, id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at
      from input ${isNew ? '' : 'on conflict do nothing'}
      returning seq
    ), queued as (
      insert into queue_entry (seq, network, sender, recipient, size_bytes, slot, accepted_at, expires_at)
      select seq, network, sender, recipient, size_bytes, slot, accepted_at, accepted_at + $1::bigint from ${stored}
    )${isAudited ? `, recorded as (${recordStored(stored, rows)})` : ''}
    select place, seq from ${stored}`
})

const fewRows = (rows: number): string => {
  const row = (parameters: readonly string[], place: number) =>
    `(nextval('entry_seq'), ${parameters.map((parameter, at) => `${parameter}::${TYPES[at]}`).join(', ')}, ${place + 1})`
  return `values ${parametersOf(rows, COLUMNS.length, 2).map(row).join(', ')}`
}

const MANY = `
      select nextval('entry_seq'), id::uuid, conversation::uuid, network, sender, recipient, message_hash, sealed,
        sent_at, size_bytes, slot <> 0, accepted_at, place
      from rows from (
        string_to_table($2, $13), string_to_table($3, $13), string_to_table($4, $13), string_to_table($5, $13),
        string_to_table($6, $13), string_to_table($7, $13), string_to_table($8, $13),
        unnest($9::text::bigint[]), unnest($10::text::bigint[]), unnest($11::text::bigint[]), unnest($12::text::bigint[]))
        with ordinality as i (${COLUMNS.join(', ')}, place)`

/** What is stored under the conversation, digest and sender of each of these, by index. */
export async function findEarlier(sql: AnySql, messages: readonly NewMessage[]): Promise<Map<number, Earlier>> {
  const rows = await sql<(Earlier & { place: number })[]>`
    select place, message.seq, message.sealed,
      exists (select from queue_entry as entry where entry.seq + 0 = message.seq) as waiting,
      message.delivery <> 'accepted' or exists (select from given_up where given_up.seq = message.seq) as "wasGivenUp"
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

/** A conversation as one of its two peers sees it. */
export interface Conversation {
  /** See conversationId(). */
  readonly id: string
  readonly network: string
  /** Address and key, in hex, of the peer that reads it; the key of the other. */
  readonly reader: string
  readonly readerKey: string
  readonly otherKey: string
}

/** Of a conversation: what is before a time (ms, exclusive; undefined: its end), so many messages, so many bytes. */
export interface PageBounds {
  readonly before: number | undefined
  readonly limit: number
  readonly maxBytes: number
}

/** JSON texts of messages with commas between them, in UTF-8, as they are written (docs/protocol.md, 4.4). */
export interface HistoryPage {
  readonly messages: Buffer
  /** Of the sealed bodies. */
  readonly bytes: number
  /** There are older ones. */
  readonly hasMore: boolean
}

/**
 * A page of a conversation, newest first: at most `limit` messages, and no more once `maxBytes` are reached, but always
 * the first. Messages that share a millisecond are never separated, so that the next page can begin at any time: where
 * several do, there may be more than `limit`. Postgres writes the JSON; the relay passes it on without reading it.
 */
export async function readHistory(sql: Sql, conversation: Conversation, page: PageBounds): Promise<HistoryPage> {
  const { id, network, reader, readerKey, otherKey } = conversation
  const ours = `","from":"${readerKey}","to":"${otherKey}","messageHash":`
  const theirs = `","from":"${otherKey}","to":"${readerKey}","messageHash":`
  const [row] = await sql`
    with head as materialized (
      select * from message where conversation = ${id} and sent_at < ${page.before ?? Number.MAX_SAFE_INTEGER}
      order by sent_at desc fetch first ${page.limit} rows with ties
    ), shown as (
      select m.*, ${rollupColumns(sql)}, coalesce(waits, false) as waiting,
        m.delivery <> 'accepted' or ended is not null as was_given_up
      from (
        select *, coalesce(sum(size_bytes) over (
            order by sent_at desc groups between unbounded preceding and 1 preceding), 0) as newer_bytes
        from head) as m
        ${rollupJoin(sql)}
        left join lateral (select true as waits from queue_entry where seq + 0 = m.seq limit 1) as queued on true
        left join lateral (select true as ended from given_up where seq = m.seq limit 1) as given_up on true
      where newer_bytes < ${page.maxBytes}
    )
    select
      string_agg('{"id":"' || id || case sender when ${reader} then ${ours}::text else ${theirs}::text end
        || to_json(message_hash) || ',"encrypted":' || sealed || ${`,"l2psUid":${JSON.stringify(network)},"l2psTxHash":`}::text
        || coalesce('"' || "txHash" || '"', 'null') || ',"timestamp":' || sent_at || ',"status":"' || ${statusColumn(sql)} || '"}',
        ',' order by sent_at desc, seq desc),
      sum(size_bytes),
      count(*) < (select count(*) from head) or exists (
        select from message where conversation = ${id} and sent_at < (select min(sent_at) from head))
    from shown`.raw()
  const [messages, bytes, hasMore] = row as unknown as [Buffer | null, Buffer | null, Buffer]
  return { messages: messages ?? Buffer.alloc(0), bytes: Number(bytes ?? 0), hasMore: hasMore.toString() === 't' }
}

/**
 * The protocol has one status for two facts (docs/protocol.md, 4.7). What the sender may have to act on comes first:
 * given up, or still waiting; then how far the record of a received message is.
 */
const statusColumn = (sql: Sql) => sql`
  case when was_given_up then 'failed' when waiting then 'queued'
    when rollup = 'none' then 'delivered' else 'l2ps_' || rollup end`

/**
 * Reads the `limit` messages after a place, in the order of acceptance, and deletes those that were sent before a time
 * (ms), are in no mailbox and have their audit record. Walks the primary key, whose order is nearly that of age, so no
 * index is kept for this. Returns the last place read, or undefined when none of the messages read is old.
 */
export async function deleteOldMessages(
  sql: Sql,
  before: number,
  afterSeq: number,
  limit: number
): Promise<{ lastSeq: number; deleted: number } | undefined> {
  const [step] = await sql<{ lastSeq: number | null; old: number; deleted: number }[]>`
    with head as materialized (
      select seq, sent_at from message where seq > ${afterSeq} order by seq limit ${limit}
    ), old as materialized (
      select seq from head where sent_at < ${before}
    ), gone as (
      delete from message where seq = any(array(
        select message.seq from message join old using (seq)
        where message.sent_at < coalesce(
            (select min(accepted_at[1]) from audit_inbox where message_seqs is not null), ${before})
          and not exists (select from queue_entry as entry where entry.seq + 0 = message.seq)
        for update of message skip locked))
      returning seq
    ), forgotten as (
      delete from given_up where seq = any(array(select seq from gone))
    )
    select (select max(seq) from head) as "lastSeq", (select count(*) from old) as old, (select count(*) from gone) as deleted`
  if (step === undefined || step.lastSeq === null || step.old === 0) return undefined
  return { lastSeq: step.lastSeq, deleted: step.deleted }
}
