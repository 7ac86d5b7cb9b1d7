import { randomBytes } from 'node:crypto'
import { migrate } from '../src/database/migrate.ts'
import { Pool, type Sql } from '../src/database/pool.ts'
import { conversationId, insertMessages, readHistory } from '../src/store/message.ts'
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
  readonly bodyBytes: number
}

/**
 * Seconds to read the conversation of each reader, newest first, in pages (and one more, as the server does to know of the
 * next), all readers at the same time; a first round is not counted.
 */
export function historyStraight(postgres: BenchPostgres, asked: StraightHistory): Promise<number> {
  const { readers, rounds, messages, limit, bodyBytes } = asked
  return withTables(postgres, async (sql) => {
    const conversations = Array.from({ length: readers }, (_, i) => ({
      ...{ id: conversationId(NETWORK, `alice-${i}`, `bob-${i}`), network: NETWORK },
      ...{ reader: `alice-${i}`, readerKey: 'a1', otherKey: 'b0' }
    }))
    for (let i = 0; i < readers; i++) {
      const entries = Array.from({ length: messages }, (_, n) => newEntry(`alice-${i}`, `bob-${i}`, n, bodyBytes))
      await keep(sql, entries)
    }
    const read = async (conversation: (typeof conversations)[number], times: number) => {
      for (let round = 0; round < times; round++) {
        for (let before = messages + 1; before > 1; before -= limit) {
          const page = await readHistory(sql, conversation, { before, limit, maxBytes: 4_000_000 })
          if (page.bytes < limit * (bodyBytes - 16)) throw new Error('rows are missing from the database')
        }
      }
    }
    await Promise.all(conversations.map((each) => read(each, 1)))
    const began = performance.now()
    await Promise.all(conversations.map((each) => read(each, rounds)))
    return (performance.now() - began) / 1_000
  })
}

async function withTables<T>(postgres: BenchPostgres, work: (sql: Sql) => Promise<T>): Promise<T> {
  const pool = new Pool({ url: await postgres.newDatabase(), size: CONNECTIONS, statementMs: 60_000, log })
  try {
    await migrate(pool.sql, packageFile('migrations'))
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
    await insertMessages(sql, group, { ...STORED, isNew: true })
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
