import { randomBytes } from 'node:crypto'
import { migrate } from '../src/database/migrate.ts'
import { Pool, type Sql } from '../src/database/pool.ts'
import { type Conversation, conversationId, insertMessages, readHistory } from '../src/store/message.ts'
import { insertEntries, type QueueEntry, releaseEntries, takePage } from '../src/store/queue-entry.ts'
import { packageFile } from '../src/util/package-root.ts'
import type { BenchPostgres } from './database.ts'
import type { ProtocolName } from './protocols/protocol.ts'

/** As many rows as the server puts in a group, at most. */
const GROUP = 512
const PAGE = 128
const CONNECTIONS = 8

export interface StraightReport {
  readonly storeSeconds: number
  readonly drainSeconds: number
}

const NETWORK = 'bench'

const ignore = () => {}
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/**
 * The same rows by the same statements, with nothing around them: no sockets, no JSON, no quotas. Inserted in groups,
 * one commit after the other; then read in pages and deleted, several mailboxes at once.
 */
export function storeStraight(
  postgres: BenchPostgres,
  protocol: ProtocolName,
  mailboxes: number,
  each: number,
  bodyBytes: number
): Promise<StraightReport> {
  return withTables(postgres, async (sql) => {
    const entries = Array.from({ length: each }, (_, number) =>
      Array.from({ length: mailboxes }, (_, i) => newEntry(`sender-${i}`, `recipient-${i}`, number, bodyBytes))
    ).flat()
    const began = performance.now()
    await (protocol === 'l2ps' ? keep(sql, entries) : pass(sql, entries))
    const stored = performance.now()
    const recipients = Array.from({ length: mailboxes }, (_, i) => `recipient-${i}`)
    const counts = await Promise.all(recipients.map((recipient) => empty(sql, recipient)))
    const drained = performance.now()
    if (counts.some((count) => count !== each)) throw new Error('rows are missing from the database')
    return { storeSeconds: (stored - began) / 1_000, drainSeconds: (drained - stored) / 1_000 }
  })
}

export interface StraightHistory {
  readonly readers: number
  readonly rounds: number
  /** Of each conversation. */
  readonly messages: number
  readonly limit: number
}

interface StoredConversation extends Conversation {
  /** Of all its sealed bodies. */
  readonly bytes: number
}

/**
 * Seconds to read the youngest conversations of a server's database by its own query, a reader each, newest first, in pages, all
 * at the same time; a first round is not counted.
 */
export function historyStraight(databaseUrl: string, asked: StraightHistory): Promise<number> {
  const { readers, rounds, messages } = asked
  return withPool(databaseUrl, async (sql) => {
    const conversations = await sql<StoredConversation[]>`
      select conversation as id, network, min(sender) as reader, min(sender) as "readerKey", min(recipient) as "otherKey",
        sum(size_bytes)::int as bytes
      from message group by conversation, network having count(*) = ${messages} order by max(seq) desc limit ${readers}`
    if (conversations.length !== readers) throw new Error('conversations are missing from the database')
    const readAll = (times: number) =>
      Promise.all(conversations.map((each) => readBack(sql, each, { ...asked, rounds: times })))
    await readAll(1)
    const began = performance.now()
    await readAll(rounds)
    return (performance.now() - began) / 1_000
  })
}

async function readBack(sql: Sql, conversation: StoredConversation, { rounds, limit }: StraightHistory): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    let before: number | undefined
    let bytes = 0
    for (let hasMore = true; hasMore; ) {
      const page = await readHistory(sql, conversation, { before, limit, maxBytes: 4_000_000 })
      before = Number(LAST_TIME.exec(page.messages.subarray(-LAST_BYTES).toString())![1])
      bytes += page.bytes
      hasMore = page.hasMore
    }
    if (bytes !== conversation.bytes) throw new Error('rows are missing from the database')
  }
}

/** Where a page says how old its last message is. */
const LAST_TIME = /"timestamp":(\d+),"status":"[^"]*"}$/
const LAST_BYTES = 100

async function withTables<T>(postgres: BenchPostgres, work: (sql: Sql) => Promise<T>): Promise<T> {
  return withPool(await postgres.newDatabase(), async (sql) => {
    await migrate(sql, packageFile('migrations'))
    return work(sql)
  })
}

async function withPool<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const pool = new Pool({ url, size: CONNECTIONS, statementMs: 60_000, log })
  try {
    return await work(pool.sql)
  } finally {
    await pool.end(1_000)
  }
}

/** How rows are stored: without a record, for a day. */
const STORED = { isAudited: false, ttlMs: 86_400_000 }

async function pass(sql: Sql, entries: readonly QueueEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += GROUP) await insertEntries(sql, entries.slice(at, at + GROUP), STORED)
}

/** As L2PS does: the message, and its entry in a mailbox. */
async function keep(sql: Sql, entries: readonly QueueEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += GROUP) {
    const group = entries.slice(at, at + GROUP).map((entry, index) => ({
      entry,
      conversation: conversationId(NETWORK, entry.sender, entry.recipient),
      sentAt: at + index + 1
    }))
    await insertMessages(sql, group, STORED, true)
  }
}

async function empty(sql: Sql, recipient: string): Promise<number> {
  let count = 0
  for (let afterSeq = 0; ; ) {
    const bounds = { afterSeq, known: [], limit: PAGE, maxBytes: 1_048_576, now: Date.now(), mostDeliveries: 0 }
    const page = await takePage(sql, { network: NETWORK, recipient, keyId: null }, bounds)
    const last = page.at(-1)
    if (last === undefined) return count
    await releaseEntries(
      sql,
      page.map(({ seq }) => seq)
    )
    count += page.length
    afterSeq = last.seq
  }
}

function newEntry(sender: string, recipient: string, number: number, bodyBytes: number): QueueEntry {
  const sealed = JSON.stringify({ data: randomBytes(Math.floor(((bodyBytes - 11) * 3) / 4)).toString('base64') })
  const about = { network: NETWORK, sender, recipient, digest: `hash-${number}`, keyId: null, slot: false }
  return {
    seq: 0,
    ...about,
    sealed,
    bytes: sealed.length,
    acceptedAt: Date.now(),
    deliveries: 0
  }
}
