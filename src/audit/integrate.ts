// One batch: events leave the inbox and become records of their logs, in one transaction.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Sql, TransactionSql } from '../database/database.ts'
import { insertAuditEntries, type NewEntry, type StoredTile, writeTiles } from '../store/audit-entry.ts'
import { type InboxEvent, takeAuditEvents } from '../store/audit-inbox.ts'
import { type AuditLog, type Growth, growLogs, holdSequencer, openLogs, takeNonces } from '../store/audit-log.ts'
import { append, type Edge, rootOfEdge, type Tile } from '../tlog/tiles.ts'
import { EMPTY_ROOT, leafHash } from '../tlog/tree.ts'
import { noncedSender, recordName, recordText } from './record.ts'
import { readEdges } from './stored-tree.ts'

/** Records that are made in one turn of the event loop: messages go through in between. */
const MADE_OF_A_TURN = 32

export interface BatchOptions {
  /** Events of one batch, about: the events of one transaction stay together. */
  readonly limit: number
  /** Networks whose events stay where they are. */
  readonly except: readonly string[]
  /** The key that signs here. Once another may sign, `SignerReplaced` is thrown. */
  readonly signer: Uint8Array
  /** Throws when a log must not grow now. */
  readonly check: (log: AuditLog) => void
}

/** The operator gave the logs to another key (`audit rekey`) while this server runs. */
export class SignerReplaced extends Error {
  override name = 'SignerReplaced'
}

export interface BatchOutcome {
  readonly taken: number
  /** When the oldest event of the batch was accepted, ms since 1970. */
  readonly oldestAt: number | undefined
}

/**
 * Integrates the oldest events. Undefined while another server holds the lock: it belongs to the transaction, so a holder
 * that dies leaves neither the lock nor half a batch. Signs nothing. Throws `LogUnsafe`.
 */
export async function integrate(sql: Sql, options: BatchOptions): Promise<BatchOutcome | undefined> {
  return sql.begin(async (tx) => {
    const { isHeld, signer } = await holdSequencer(tx)
    if (!isHeld) return undefined
    if (signer !== null && !signer.equals(options.signer)) {
      throw new SignerReplaced('the audit logs were given to another node key: start this server with that key')
    }
    const rows = await takeAuditEvents(tx, options.limit, options.except)
    if (rows.length === 0) return { taken: 0, oldestAt: undefined }
    const groups = byNetwork(rows)
    const logs = await openLogs(tx, [...groups.keys()], EMPTY_ROOT)
    for (const log of logs) options.check(log)
    const uses = logs.flatMap((log) => nonceUses(log.id, groups.get(log.network)!))
    const [edges, nonces] = await Promise.all([readEdges(tx, logs), firstNonces(tx, uses)])
    const grown = { entries: [] as NewEntry[], tiles: [] as StoredTile[], logs: [] as Growth[] }
    for (const log of logs) {
      const records = await placeRecords(groups.get(log.network)!, nonces.get(log.id) ?? new Map())
      const tree = growTree(log.size, edges.get(log.id)!, records)
      let index = log.size
      for (const { text, messageSeq, name } of records) {
        grown.entries.push({ log: log.id, index: index++, text, messageSeq, name })
      }
      for (const { level, index, hashes } of tree.tiles) grown.tiles.push({ log: log.id, level, index, hashes })
      grown.logs.push({ log: log.id, size: tree.size, root: tree.root })
    }
    await Promise.all([insertAuditEntries(tx, grown.entries), writeTiles(tx, grown.tiles), growLogs(tx, grown.logs)])
    return { taken: rows.length, oldestAt: rows[0]!.acceptedAt }
  }) as Promise<BatchOutcome | undefined>
}

/** By log: each sender's first nonce of this batch. */
async function firstNonces(tx: TransactionSql, uses: readonly NonceUse[]): Promise<Map<number, Map<string, number>>> {
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

/** Groups events by network; their order stays. */
function byNetwork(rows: readonly InboxEvent[]): Map<string, InboxEvent[]> {
  const groups = new Map<string, InboxEvent[]>()
  for (const row of rows) {
    const group = groups.get(row.network)
    if (group === undefined) groups.set(row.network, [row])
    else group.push(row)
  }
  return groups
}

/** How many nonces a sender needs in a log. */
interface NonceUse {
  readonly log: number
  readonly sender: string
  readonly records: number
}

function nonceUses(log: number, rows: readonly InboxEvent[]): NonceUse[] {
  const uses = new Map<string, number>()
  for (const row of rows) {
    const sender = noncedSender(row)
    if (sender !== undefined) uses.set(sender, (uses.get(sender) ?? 0) + 1)
  }
  return Array.from(uses, ([sender, records]) => ({ log, sender, records }))
}

/** A record that waits for its index. */
type PlacedRecord = Omit<NewEntry, 'log' | 'index'> & { readonly leaf: Uint8Array }

/** The records of one log's events. `nonces`: each sender's first nonce of this batch; counted up here. */
async function placeRecords(rows: readonly InboxEvent[], nonces: Map<string, number>): Promise<PlacedRecord[]> {
  const records: PlacedRecord[] = []
  for (const row of rows) {
    const sender = noncedSender(row)
    const nonce = sender === undefined ? 0 : nonces.get(sender)!
    if (sender !== undefined) nonces.set(sender, nonce + 1)
    const text = recordText(row, nonce)
    records.push({ text, messageSeq: row.messageSeq, name: recordName(row), leaf: leafHash(Buffer.from(text)) })
    if (records.length % MADE_OF_A_TURN === 0) await nextTurn()
  }
  return records
}

/** The tree with these records added: the tiles that changed, its size and its root. */
function growTree(
  size: number,
  edge: Edge,
  records: readonly PlacedRecord[]
): { tiles: Tile[]; size: number; root: Uint8Array } {
  const grown = append(
    size,
    edge,
    records.map(({ leaf }) => leaf)
  )
  return { tiles: grown.tiles, size: grown.size, root: rootOfEdge(grown.edge) }
}
