import { randomBytes } from 'node:crypto'
import { packageFile } from '../src/package-root.ts'
import { migrate } from '../src/store/migrate.ts'
import { createPool, type Sql } from '../src/store/pool.ts'
import { insertEntries, type NewEntry, releaseEntries, takePage } from '../src/store/queue-entry.ts'
import type { BenchPostgres } from './database.ts'

/** As many rows as the server puts in a group, at most. */
const GROUP = 512
const PAGE = 128
const CONNECTIONS = 8

export interface StraightReport {
  readonly storeSeconds: number
  readonly drainSeconds: number
}

const ignore = () => {}
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/**
 * The same rows by the same statements, with nothing around them: no sockets, no JSON, no quotas. Inserted in groups,
 * one commit after the other; then read in pages and deleted, several mailboxes at once.
 */
export async function storeStraight(
  postgres: BenchPostgres,
  mailboxes: number,
  each: number,
  bodyBytes: number
): Promise<StraightReport> {
  const pool = createPool({ url: await postgres.newDatabase(), size: CONNECTIONS, statementMs: 60_000, log })
  try {
    await migrate(pool.sql, packageFile('migrations'))
    const entries = Array.from({ length: each }, () =>
      Array.from({ length: mailboxes }, (_, i) => newEntry(`sender-${i}`, `recipient-${i}`, bodyBytes))
    ).flat()
    const began = performance.now()
    for (let at = 0; at < entries.length; at += GROUP) await insertEntries(pool.sql, entries.slice(at, at + GROUP))
    const stored = performance.now()
    const recipients = Array.from({ length: mailboxes }, (_, i) => `recipient-${i}`)
    const counts = await Promise.all(recipients.map((recipient) => empty(pool.sql, recipient)))
    const drained = performance.now()
    if (counts.some((count) => count !== each)) throw new Error('rows are missing from the database')
    return { storeSeconds: (stored - began) / 1_000, drainSeconds: (drained - stored) / 1_000 }
  } finally {
    await pool.end(1_000)
  }
}

async function empty(sql: Sql, recipient: string): Promise<number> {
  let count = 0
  for (let afterSeq = 0; ; ) {
    const bounds = { afterSeq, limit: PAGE, maxBytes: 1_048_576, now: Date.now() }
    const page = await takePage(sql, { network: 'signaling', recipient, keyId: null }, bounds)
    const last = page.at(-1)
    if (last === undefined) return count
    await releaseEntries(sql, page)
    count += page.length
    afterSeq = last.seq
  }
}

function newEntry(sender: string, recipient: string, bodyBytes: number): NewEntry {
  const sealed = JSON.stringify({ data: randomBytes(Math.floor(((bodyBytes - 11) * 3) / 4)).toString('base64') })
  const now = Date.now()
  const about = { network: 'signaling', sender, recipient, digest: null, keyId: null, slot: false }
  return { ...about, sealed, bytes: sealed.length, acceptedAt: now, expiresAt: now + 86_400_000 }
}
