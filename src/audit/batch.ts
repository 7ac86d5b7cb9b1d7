// What a batch of audit events becomes: records in their places, and the tree over them. Pure.
import type { InboxRow } from '../store/audit-inbox.ts'
import { type AuditRecord, canonicalJson, escapeId } from './record.ts'
import { append, type Edge, rootOfEdge, type Tile } from './tiles.ts'
import { leafHash } from './tree.ts'

/** A record that waits for its place. */
export interface PlacedRecord {
  readonly text: string
  readonly messageSeq: number | null
}

/** The peer whose nonce a record carries; undefined for what the node itself does. */
export const noncedSender = ({ kind, sender }: InboxRow): string | undefined =>
  kind === 'message' || kind === 'key-change' ? sender! : undefined

/** The record of an event. `nonce` counts the sender's records; without meaning where there is no such sender. */
export function recordOf(row: InboxRow, nonce: number): AuditRecord {
  const id = (text: string | null) => escapeId(text ?? '')
  const common = { version: 1, network: id(row.network) } as const
  const when = { acceptedAtMs: row.acceptedAt, salt: Buffer.from(row.salt).toString('hex') }
  const by = { ...common, ...when, from: id(row.sender), digest: id(row.digest), nonce }
  const bytes = row.bytes ?? 0
  switch (row.kind) {
    case 'message':
      return { ...by, type: 'instantMessaging', to: id(row.recipient), sizeBytes: bytes }
    case 'key-change':
      return { ...by, type: 'keyChange' }
    case 'identity-release':
      return { ...common, ...when, type: 'identityRelease', peer: id(row.sender) }
    case 'purge': {
      const from = row.sender === null ? {} : { from: id(row.sender) }
      const entries = row.entries ?? 0
      return { ...common, ...when, ...from, type: 'purge', to: id(row.recipient), entries, sizeBytes: bytes }
    }
    case 'restore':
      return { ...common, ...when, type: 'restore', lostSize: bytes, lostRoot: row.digest ?? '' }
    case 'checkpoint': {
      const what = { of: id(row.sender), origin: row.recipient ?? '', size: bytes, rootHash: row.digest ?? '' }
      return { ...common, ...what, type: 'checkpoint' }
    }
  }
}

/** Groups events by network; their order stays. */
export function byNetwork(rows: readonly InboxRow[]): Map<string, InboxRow[]> {
  const groups = new Map<string, InboxRow[]>()
  for (const row of rows) {
    const group = groups.get(row.network)
    if (group === undefined) groups.set(row.network, [row])
    else group.push(row)
  }
  return groups
}

/** How many nonces each sender of these events needs. */
export function nonceUses(log: number, rows: readonly InboxRow[]): { log: number; sender: string; records: number }[] {
  const uses = new Map<string, number>()
  for (const row of rows) {
    const sender = noncedSender(row)
    if (sender !== undefined) uses.set(sender, (uses.get(sender) ?? 0) + 1)
  }
  return Array.from(uses, ([sender, records]) => ({ log, sender, records }))
}

/** The records of one log's events. `nonces`: each sender's first nonce of this batch; counted up here. */
export function placeRecords(rows: readonly InboxRow[], nonces: Map<string, number>): PlacedRecord[] {
  return rows.map((row) => {
    const sender = noncedSender(row)
    const nonce = sender === undefined ? 0 : nonces.get(sender)!
    if (sender !== undefined) nonces.set(sender, nonce + 1)
    return { text: canonicalJson(recordOf(row, nonce)), messageSeq: row.messageSeq }
  })
}

/** The tree with these records added: the tiles that changed, its size and its root. */
export function growTree(
  size: number,
  edge: Edge,
  records: readonly PlacedRecord[]
): { tiles: Tile[]; size: number; root: Uint8Array } {
  const leaves = records.map(({ text }) => leafHash(Buffer.from(text)))
  const grown = append(size, edge, leaves)
  return { tiles: grown.tiles, size: grown.size, root: rootOfEdge(grown.edge) }
}
