// One batch: events leave the inbox and become records of their logs, in one transaction.

import type { Sql, TransactionSql } from '../database/database.ts'
import { insertAuditEntries, type NewEntry, type StoredTile, writeTiles } from '../store/audit-entry.ts'
import { takeAuditEvents } from '../store/audit-inbox.ts'
import { type AuditLog, type Growth, growLogs, holdSequencer, openLogs, takeNonces } from '../store/audit-log.ts'
import { EMPTY_ROOT } from '../tlog/tree.ts'
import { byNetwork, growTree, nonceUses, placeRecords } from './batch.ts'
import { readEdges } from './stored-tree.ts'

export interface BatchOptions {
  /** About the most events of one batch: what one transaction handed in stays together. */
  readonly limit: number
  /** Networks whose events stay where they are. */
  readonly except: readonly string[]
  /** Throws when a log must not grow now. */
  readonly check: (log: AuditLog) => void
}

export interface BatchOutcome {
  readonly taken: number
  /** When the oldest event of the batch was accepted, ms since 1970. */
  readonly oldestAt: number | undefined
}

/**
 * Integrates the oldest events. Undefined when another server is at it: the lock belongs to the transaction, so a holder
 * that dies half-way leaves neither the lock nor half a batch. Nothing is signed here. Throws `LogUnsafe`.
 */
export async function integrate(sql: Sql, options: BatchOptions): Promise<BatchOutcome | undefined> {
  return sql.begin(async (tx) => {
    if (!(await holdSequencer(tx))) return undefined
    const rows = await takeAuditEvents(tx, options.limit, options.except)
    if (rows.length === 0) return { taken: 0, oldestAt: undefined }
    const groups = byNetwork(rows)
    const logs = await openLogs(tx, [...groups.keys()], EMPTY_ROOT)
    for (const log of logs) options.check(log)
    const uses = logs.flatMap((log) => nonceUses(log.id, groups.get(log.network)!))
    const [edges, nonces] = await Promise.all([readEdges(tx, logs), firstNonces(tx, uses)])
    const grown = { entries: [] as NewEntry[], tiles: [] as StoredTile[], logs: [] as Growth[] }
    for (const log of logs) {
      const records = placeRecords(groups.get(log.network)!, nonces.get(log.id) ?? new Map())
      const tree = growTree(log.size, edges.get(log.id)!, records)
      let index = log.size
      for (const { text, messageSeq } of records) grown.entries.push({ log: log.id, index: index++, text, messageSeq })
      for (const tile of tree.tiles) grown.tiles.push({ ...tile, log: log.id })
      grown.logs.push({ log: log.id, size: tree.size, root: tree.root })
    }
    await Promise.all([insertAuditEntries(tx, grown.entries), writeTiles(tx, grown.tiles), growLogs(tx, grown.logs)])
    return { taken: rows.length, oldestAt: rows[0]!.acceptedAt }
  }) as Promise<BatchOutcome | undefined>
}

/** By log: each sender's first nonce of this batch. */
async function firstNonces(
  tx: TransactionSql,
  uses: readonly { log: number; sender: string; records: number }[]
): Promise<Map<number, Map<string, number>>> {
  const first = new Map<number, Map<string, number>>()
  if (uses.length === 0) return first
  const taken = await takeNonces(tx, uses)
  const counts = new Map(uses.map((use) => [`${use.log} ${use.sender}`, use.records]))
  for (const { log, sender, nonce } of taken) {
    const senders = first.get(log) ?? new Map<string, number>()
    senders.set(sender, nonce - counts.get(`${log} ${sender}`)! + 1)
    first.set(log, senders)
  }
  return first
}
