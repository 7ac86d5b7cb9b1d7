// The default anchor: a log of the node's own checkpoints, itself signed, published and provable like any other.
import type { Anchor, AnchoredCheckpoint } from '../anchor/anchor.ts'
import type { Database, TransactionSql } from '../database/database.ts'
import { findEntry } from '../store/audit-entry.ts'
import { type AuditEvent, type InboxEvent, insertAuditEvents, readWaiting } from '../store/audit-inbox.ts'
import { ANCHORS, findLog } from '../store/audit-log.ts'
import { sha256 } from '../tlog/tree.ts'
import { recordText } from './record.ts'

/** Any number that no other lock has. Under it one server at a time looks whether a checkpoint is there already. */
const LOCK = 30_053_008
/** Longest wait for the checkpoint's record, and rest between two polls for it, ms; the sequencer takes a second or so. */
const WAIT_MS = 5_000
const POLL_MS = 100

export class LogAnchor implements Anchor {
  readonly name = 'log'
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  /** Resolves once the checkpoint is under a signed checkpoint of `anchors`; reference: `anchors/<index>`. */
  async anchor(checkpoint: AnchoredCheckpoint): Promise<{ reference: string }> {
    const event = { ...eventOf(checkpoint), acceptedAt: this.#now() }
    const hash = hashOf(event)
    await this.#database.within(this.#database.sql.begin((tx) => insertOnce(tx, event, hash)))
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      const index = await this.#published(hash)
      if (index !== undefined) return { reference: `${ANCHORS}/${index}` }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    throw new Error('the log of checkpoints was not signed in time')
  }

  async #published(hash: Buffer): Promise<number | undefined> {
    const { sql } = this.#database
    const log = await this.#database.within(findLog(sql, ANCHORS))
    if (log === undefined) return undefined
    const index = await this.#database.within(findEntry(sql, log.id, hash))
    return index !== undefined && index < log.publishedSize ? index : undefined
  }
}

type CheckpointEvent = Extract<AuditEvent, { kind: 'checkpoint' }>

const eventOf = ({ network, origin, size, rootHash }: AnchoredCheckpoint): Omit<CheckpointEvent, 'acceptedAt'> => ({
  kind: 'checkpoint',
  network: ANCHORS,
  sender: network,
  recipient: origin,
  digest: rootHash,
  bytes: size
})

/** The hash of the record to come: it has neither salt nor time, so equal checkpoints have equal records. */
function hashOf(event: CheckpointEvent): Buffer {
  const nothing = { entries: null, messageSeq: null, salt: '' }
  return sha256(recordText({ ...nothing, ...event }, 0))
}

async function insertOnce(tx: TransactionSql, event: CheckpointEvent, hash: Buffer): Promise<void> {
  await tx`select pg_advisory_xact_lock(${LOCK})`
  // One statement, one snapshot: the sequencer moves an event from the one table to the other at once.
  const [row] = await tx<{ known: boolean; waiting: string[] }[]>`
    select exists (select from audit_entry where sha256(entry) = ${hash}::bytea) as known,
      array(select events from audit_inbox where network = ${ANCHORS}) as waiting`
  const isWaiting = row!.waiting.some((events) => readWaiting(ANCHORS, events).some((other) => isSame(other, event)))
  if (!row!.known && !isWaiting) await insertAuditEvents(tx, [event])
}

const isSame = (other: InboxEvent, { sender, recipient, digest, bytes }: CheckpointEvent) =>
  other.sender === sender && other.recipient === recipient && other.digest === digest && other.bytes === bytes
