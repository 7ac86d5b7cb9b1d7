import { setTimeout } from 'node:timers/promises'
import { grouped, inHalves, sqlState } from '../database/batcher.ts'
import { type Database, DatabaseUnavailable, type TransactionSql } from '../database/database.ts'
import { GroupCommit, type GroupFailure, type GroupObserver } from '../database/group-commit.ts'
import {
  areFilled,
  type EntryRef,
  type MailboxName,
  type NewEntry,
  type QueueEntry,
  releaseEntries,
  takePage
} from '../store/queue-entry.ts'
import { adjustQuotas, lockQuotas, type Quota, quotaKey, quotasOf, type SlotUse } from '../store/quota.ts'
import type { SentEntry } from './delivery.ts'
import type { Acceptance, Envelope } from './envelope.ts'
import { LeavingEntries } from './leaving.ts'
import { ReturnedEntries } from './returned.ts'
import type { Repeat, Shelf } from './shelf.ts'

/** Who is here to be pushed to. Nothing else in the mailbox knows that peers have sockets. */
export interface Recipients {
  /** Is a session connected that takes entries sealed for this key? */
  has(network: string, peer: string, keyId: string | null): boolean
  /** Is the recipient connected, but so far behind that no more may be accepted for it? */
  isOverrun(network: string, peer: string): boolean
  /** Offers a committed entry to the recipient's sessions; false when none takes it. */
  offer(entry: QueueEntry): boolean
  /** Has the recipient's sessions look for a stored entry at a place they may have passed; false when none takes it. */
  recall(network: string, peer: string, keyId: string | null, seq: number): boolean
}

export interface MailboxLimits {
  /** Entries one sender may have waiting in a network for peers that are away. */
  readonly quotaPerSender: number
  readonly recipientMessages: number
  readonly recipientBytes: number
  readonly ttlMs: number
  readonly waitingMessages: number
  readonly waitingBytes: number
  readonly deadlineMs: number
}

type Refusal = 'quota' | 'recipient-full'
type Verdict = QueueEntry | Repeat | Refusal
type Log = { error(facts: object, message: string): void; warn(facts: object, message: string): void }

/** Groups under way at once: while Postgres writes one, we prepare the other. A recipient is always in the same lane. */
const LANES = 2
const GROUP_ITEMS = 512
const GROUP_BYTES = 4_194_304
/** Nobody waits for a release, so many share a commit. In ms. */
const RELEASE_GROUP_PAUSE_MS = 5
/** How often a release is tried, and the pause after one that failed, in ms. */
const RELEASE_TRIES = 120
const RELEASE_PAUSE_MS = 500

/**
 * The way in and out of the mailboxes of one protocol; what the protocols differ in is the shelf. Accepting is a group
 * commit: message, audit record and quota in one transaction, answered after it. A recipient's groups are written one after the other, so places in its mailbox follow
 * acceptance.
 */
export class Mailbox {
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly returned = new ReturnedEntries()
  readonly leaving = new LeavingEntries()
  readonly #database: Database
  readonly #recipients: Recipients
  readonly #shelf: Shelf
  readonly #limits: MailboxLimits
  readonly #count: (acceptance: Acceptance) => void
  readonly #log: Log
  readonly #lanes: readonly GroupCommit<Envelope, Verdict>[]
  readonly #releasing: GroupCommit<EntryRef & { bytes: number }, true>
  readonly #isFilled: (box: MailboxName) => Promise<boolean | GroupFailure>

  constructor(options: {
    database: Database
    recipients: Recipients
    shelf: Shelf
    limits: MailboxLimits
    now: () => number
    log: Log
    /** Hears what became of every envelope. */
    count?: (acceptance: Acceptance) => void
    observer?: GroupObserver
  }) {
    const { database, recipients, shelf, limits, now, log, count = () => {}, observer } = options
    this.#database = database
    this.#recipients = recipients
    this.#shelf = shelf
    this.#limits = limits
    this.now = now
    this.#count = count
    this.#log = log
    this.#lanes = Array.from(
      { length: LANES },
      () =>
        new GroupCommit<Envelope, Verdict>(
          (group) => this.#store(group),
          {
            groupItems: GROUP_ITEMS,
            groupBytes: GROUP_BYTES,
            waitingItems: limits.waitingMessages / LANES,
            waitingBytes: limits.waitingBytes / LANES,
            deadlineMs: limits.deadlineMs
          },
          observer
        )
    )
    this.#releasing = new GroupCommit((group) => this.#release(group), {
      groupItems: 2_048,
      groupBytes: Number.POSITIVE_INFINITY,
      waitingItems: Number.POSITIVE_INFINITY, // as many as the delivery windows hold: bounded there
      waitingBytes: Number.POSITIVE_INFINITY,
      deadlineMs: undefined,
      pauseMs: RELEASE_GROUP_PAUSE_MS
    })
    this.#isFilled = grouped({
      ...{ database, work: areFilled },
      failed: (error, mailboxes) => log.warn({ err: error, mailboxes }, 'mailboxes not looked into')
    })
  }

  /** Messages accepted from their senders and waiting for a commit. */
  get waiting(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.waiting, 0)
  }

  /** Messages that were written, or tried to be, since the start. */
  get written(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.written, 0)
  }

  /**
   * Takes an envelope in; `done` hears what became of it, after the commit. Envelopes from one sender to one recipient
   * are committed, offered and answered in the order they were handed over.
   */
  accept(envelope: Envelope, done: (acceptance: Acceptance) => void): void {
    const answer = (acceptance: Acceptance) => {
      this.#count(acceptance)
      done(acceptance)
    }
    if (this.#recipients.isOverrun(envelope.network, envelope.recipient)) {
      setImmediate(answer, 'recipient-full')
      return
    }
    this.#laneOf(envelope.recipient).add(envelope, (result) => answer(this.#outcome(envelope, result)))
  }

  #laneOf(recipient: string): GroupCommit<Envelope, Verdict> {
    let hash = 0
    for (let at = 0; at < recipient.length; at++) hash = (hash * 31 + recipient.charCodeAt(at)) | 0
    return this.#lanes[(hash >>> 0) % LANES]!
  }

  /** After the commit: who is here is looked up only now, so nobody who registered meanwhile is missed. */
  #outcome(envelope: Envelope, result: Verdict | GroupFailure): Acceptance {
    if (typeof result === 'string') return result
    if (!isRepeat(result)) return this.#recipients.offer(result) ? 'live' : 'queued'
    if (result.repeat === 'duplicate') return 'duplicate'
    if (result.repeat === 'received') return 'live' // an exact repeat is answered like the first time
    // It may have been given up before it was committed, and nobody was told of the commit.
    const { network, recipient, keyId } = envelope
    return this.#recipients.recall(network, recipient, keyId, result.seq) ? 'live' : 'queued'
  }

  /**
   * The next stored entries of a mailbox, oldest first: at most `limit`, about `maxBytes`. Whoever comes has the whole of
   * it before them, which is mostly empty: many of them share that question.
   */
  async take(
    box: { network: string; recipient: string; keyId: string | null },
    afterSeq: number,
    limit: number,
    maxBytes: number
  ): Promise<QueueEntry[]> {
    const isFilled = afterSeq > 0 || (await this.#isFilled(box))
    if (typeof isFilled === 'string') throw new DatabaseUnavailable('the mailbox was not looked into')
    if (!isFilled) return []
    const page = { afterSeq, limit, maxBytes, now: this.now() }
    return this.#database.within(takePage(this.#database.sql, box, page))
  }

  /**
   * Takes a received entry out of its mailbox, soon: releases share commits. Until then it is `leaving`. `gone` is called after the commit, and not when the entry had to stay.
   */
  release(entry: SentEntry, gone: (entry: SentEntry) => void): void {
    this.leaving.add(entry.seq)
    this.#releasing.add(entry, (result) => {
      this.leaving.settle(entry.seq, result === true)
      if (result === true) gone(entry)
      else this.returned.note(entry.seq)
    })
  }

  /** Resolves when every accepted message is answered and every release is written. */
  async drained(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.drained()))
    await this.#releasing.drained()
  }

  #store(group: readonly Envelope[]): Promise<(Verdict | GroupFailure)[]> {
    const failed = (error: unknown, messages: number) =>
      this.#log.error({ err: error, messages }, 'messages not stored')
    return inHalves(group, (some) => this.#writeNew(this.#entriesOf(some)), failed)
  }

  #entriesOf(group: readonly Envelope[]): NewEntry[] {
    const now = this.now()
    // Written out, not spread: this runs for every message, and all of them get one shape.
    return group.map(({ network, sender, recipient, digest, sealed, bytes, keyId }) => {
      const slot = !this.#recipients.has(network, recipient, keyId)
      const expiresAt = now + this.#limits.ttlMs
      return { seq: 0, network, sender, recipient, digest, sealed, bytes, keyId, slot, acceptedAt: now, expiresAt }
    })
  }

  /** Nearly always all are new; a group in which one is not is written again, with care. */
  async #writeNew(entries: readonly NewEntry[]): Promise<Verdict[]> {
    try {
      return await this.#database.within(this.#write(entries, true))
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION) throw error
    }
    return this.#database.within(this.#write(entries, false))
  }

  async #write(entries: readonly NewEntry[], isNew: boolean): Promise<Verdict[]> {
    const { sql } = this.#database
    const uses = entries.filter((entry) => entry.slot)
    if (uses.length === 0) return this.#shelf.insert(sql, entries, isNew)
    return sql.begin(async (tx) => {
      const held = await lockQuotas(tx, uses)
      if (!isNew || !this.#haveRoom(uses, held)) return this.#writeSome(tx, entries, held)
      const [stored] = await Promise.all([this.#shelf.insert(tx, entries, true), adjustQuotas(tx, uses, 1)])
      return stored
    }) as Promise<Verdict[]>
  }

  /** Not all of these fit their quotas, or are new; a repeat takes no place. */
  async #writeSome(
    tx: TransactionSql,
    entries: readonly NewEntry[],
    held: ReadonlyMap<string, Quota>
  ): Promise<Verdict[]> {
    const repeats = await this.#shelf.repeats(tx, entries)
    const verdicts = entries.map((entry, index) => repeats[index] ?? this.#admit(entry, held))
    const admitted = verdicts.filter((verdict) => isEntry(verdict))
    const stored = await this.#shelf.insert(tx, admitted, false)
    const taken = stored.filter((result) => isEntry(result)).filter((entry) => entry.slot)
    await adjustQuotas(tx, taken, 1)
    const next = stored.values()
    return verdicts.map((verdict) => (isEntry(verdict) ? next.next().value! : verdict))
  }

  /** Do all of these fit their quotas? */
  #haveRoom(uses: readonly SlotUse[], held: ReadonlyMap<string, Quota>): boolean {
    const { quotaPerSender, recipientMessages, recipientBytes } = this.#limits
    return quotasOf(uses).every(({ network, peer, role, entries, bytes }) => {
      const quota = held.get(quotaKey(network, peer, role))!
      if (role === 'sender') return quota.entries + entries <= quotaPerSender
      return quota.entries + entries <= recipientMessages && quota.bytes + bytes <= recipientBytes
    })
  }

  /** Does an entry fit its quotas? What fits is counted in `held`, so the next one sees it; without a slot all fit. */
  #admit(entry: NewEntry, held: ReadonlyMap<string, Quota>): NewEntry | Refusal {
    if (!entry.slot) return entry
    const { sender, recipient } = quotasFor(entry, held)
    if (sender.entries >= this.#limits.quotaPerSender) return 'quota'
    const full =
      recipient.entries >= this.#limits.recipientMessages || recipient.bytes + entry.bytes > this.#limits.recipientBytes
    if (full) return 'recipient-full'
    sender.entries += 1
    recipient.entries += 1
    recipient.bytes += entry.bytes
    return entry
  }

  /** Again and again while Postgres is away: what was received holds its sender's place until it is out. */
  async #release(group: readonly EntryRef[]): Promise<(true | GroupFailure)[]> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#database.within(releaseEntries(this.#database.sql, group))
        return group.map(() => true)
      } catch (error) {
        const facts = { err: error, entries: group.length }
        if (tries === 1) this.#log.warn(facts, 'received entries not released yet')
        if (tries === RELEASE_TRIES) {
          this.#log.error(facts, 'received entries not released, they will be delivered again')
          return group.map(() => 'unavailable' as const)
        }
        await setTimeout(RELEASE_PAUSE_MS, undefined, { ref: false })
      }
    }
  }
}

const isRepeat = (verdict: QueueEntry | Repeat): verdict is Repeat => 'repeat' in verdict
const isEntry = <E extends QueueEntry>(verdict: E | Repeat | Refusal): verdict is E =>
  typeof verdict !== 'string' && !isRepeat(verdict)

function quotasFor(use: SlotUse, held: ReadonlyMap<string, Quota>) {
  return {
    sender: held.get(quotaKey(use.network, use.sender, 'sender'))!,
    recipient: held.get(quotaKey(use.network, use.recipient, 'recipient'))!
  }
}

const UNIQUE_VIOLATION = '23505'
