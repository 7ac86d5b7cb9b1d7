// What a batch of audit events becomes: records in their places, and the tree over them. Pure.
import type { InboxEvent } from '../store/audit-inbox.ts'
import { append, type Edge, rootOfEdge, type Tile } from '../tlog/tiles.ts'
import { leafHash } from '../tlog/tree.ts'
import { type AdministrationAction, type AuditRecord, escapeId } from './record.ts'

/** A record that waits for its place. */
export interface PlacedRecord {
  readonly text: string
  readonly messageSeq: number | null
}

/** The peer whose nonce a record carries, as the record has it; undefined for what the node itself does. */
export const noncedSender = ({ kind, sender }: InboxEvent): string | undefined =>
  kind === 'message' || kind === 'key-change' ? escapeId(sender!) : undefined

/**
 * The record of an event, as canonical JSON. `nonce` counts the sender's records; without meaning where there is no such
 * sender. Keys are in their order and texts are ASCII already: there is nothing left that RFC 8785 writes otherwise.
 */
export const recordText = (row: InboxEvent, nonce: number): string => JSON.stringify(recordOf(row, nonce))

/** Keys in the order of canonical JSON. */
function recordOf(row: InboxEvent, nonce: number): AuditRecord {
  const id = (text: string | null) => escapeId(text ?? '')
  const { acceptedAt: acceptedAtMs, salt } = row
  const [network, sizeBytes, version] = [id(row.network), row.bytes ?? 0, 1 as const]
  switch (row.kind) {
    case 'message': {
      const [digest, from, to, type] = [id(row.digest), id(row.sender), id(row.recipient), 'instantMessaging' as const]
      return { acceptedAtMs, digest, from, network, nonce, salt, sizeBytes, to, type, version }
    }
    case 'key-change': {
      const [digest, from] = [id(row.digest), id(row.sender)]
      return { acceptedAtMs, digest, from, network, nonce, salt, type: 'keyChange', version }
    }
    case 'identity-release':
      return { acceptedAtMs, network, peer: id(row.sender), salt, type: 'identityRelease', version }
    case 'purge': {
      const from = row.sender === null ? {} : { from: id(row.sender) }
      const [entries, to] = [row.entries ?? 0, id(row.recipient)]
      return { acceptedAtMs, entries, ...from, network, salt, sizeBytes, to, type: 'purge', version }
    }
    case 'administration': {
      const [action, type] = [row.digest as AdministrationAction, 'administration' as const]
      const entries = row.entries === null ? {} : { entries: row.entries }
      const peer = row.sender === null ? {} : { peer: id(row.sender) }
      return { acceptedAtMs, action, ...entries, network, ...peer, salt, type, version }
    }
    case 'restore':
      return { acceptedAtMs, lostRoot: row.digest ?? '', lostSize: sizeBytes, network, salt, type: 'restore', version }
    case 'checkpoint': {
      const [of, origin, rootHash] = [id(row.sender), row.recipient ?? '', row.digest ?? '']
      return { network, of, origin, rootHash, size: sizeBytes, type: 'checkpoint', version }
    }
  }
}

/** Groups events by network; their order stays. */
export function byNetwork(rows: readonly InboxEvent[]): Map<string, InboxEvent[]> {
  const groups = new Map<string, InboxEvent[]>()
  for (const row of rows) {
    const group = groups.get(row.network)
    if (group === undefined) groups.set(row.network, [row])
    else group.push(row)
  }
  return groups
}

/** How many nonces each sender of these events needs. */
export function nonceUses(
  log: number,
  rows: readonly InboxEvent[]
): { log: number; sender: string; records: number }[] {
  const uses = new Map<string, number>()
  for (const row of rows) {
    const sender = noncedSender(row)
    if (sender !== undefined) uses.set(sender, (uses.get(sender) ?? 0) + 1)
  }
  return Array.from(uses, ([sender, records]) => ({ log, sender, records }))
}

/** The records of one log's events. `nonces`: each sender's first nonce of this batch; counted up here. */
export function placeRecords(rows: readonly InboxEvent[], nonces: Map<string, number>): PlacedRecord[] {
  return rows.map((row) => {
    const sender = noncedSender(row)
    const nonce = sender === undefined ? 0 : nonces.get(sender)!
    if (sender !== undefined) nonces.set(sender, nonce + 1)
    return { text: recordText(row, nonce), messageSeq: row.messageSeq }
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
