import type { Database } from '../store/database.ts'
import {
  type EntryRef,
  expireEntries,
  insertEntries,
  type NewEntry,
  type QueueEntry,
  releaseEntries,
  takePage
} from '../store/queue-entry.ts'
import { adjustQuotas, lockQuotas, type Quota, quotaKey, type SlotUse } from '../store/quota.ts'
import type { Acceptance, Envelope } from './envelope.ts'
import { GroupCommit, type GroupFailure } from './group-commit.ts'

/** Who is here to be pushed to. Nothing else in the mailbox knows that peers have sockets. */
export interface Recipients {
  /** Is a session connected that takes entries sealed for this key? */
  has(network: string, peer: string, keyId: string | null): boolean
  /** Is the recipient connected, but so far behind that no more may be accepted for it? */
  isOverrun(network: string, peer: string): boolean
  /** Offers a committed entry to the recipient's sessions; false when none takes it. */
  offer(entry: QueueEntry): boolean
}

export interface MailboxLimits {
  /** Entries one sender may have waiting for peers that are away, by network. */
  readonly quotaPerSender: (network: string) => number
  readonly recipientMessages: number
  readonly recipientBytes: number
  readonly ttlMs: (network: string) => number
  readonly waitingMessages: number
  readonly waitingBytes: number
  readonly deadlineMs: number
}

type Refusal = 'quota' | 'recipient-full'
type Log = { error(facts: object, message: string): void; warn(facts: object, message: string): void }

/** Entries deleted in one step of the expiry sweep: a short transaction. */
const EXPIRY_BATCH = 1_000
const GROUP_ITEMS = 512
const GROUP_BYTES = 4_194_304

/**
 * The one way in and out of every mailbox, for both protocols. Accepting is a group commit: message and quota in one
 * transaction, answered after it. Groups are written one after the other, so places in a mailbox follow acceptance.
 */
export class Mailbox {
  readonly #database: Database
  readonly #recipients: Recipients
  readonly #limits: MailboxLimits
  readonly #now: () => number
  readonly #log: Log
  readonly #accepting: GroupCommit<Envelope, QueueEntry | Refusal>
  readonly #releasing: GroupCommit<EntryRef & { bytes: number }, true>

  constructor(options: {
    database: Database
    recipients: Recipients
    limits: MailboxLimits
    now: () => number
    log: Log
  }) {
    const { database, recipients, limits, now, log } = options
    this.#database = database
    this.#recipients = recipients
    this.#limits = limits
    this.#now = now
    this.#log = log
    this.#accepting = new GroupCommit((group) => this.#store(group), {
      groupItems: GROUP_ITEMS,
      groupBytes: GROUP_BYTES,
      waitingItems: limits.waitingMessages,
      waitingBytes: limits.waitingBytes,
      deadlineMs: limits.deadlineMs
    })
    this.#releasing = new GroupCommit((group) => this.#release(group), {
      groupItems: 2_048,
      groupBytes: Number.POSITIVE_INFINITY,
      waitingItems: Number.POSITIVE_INFINITY, // as many as the delivery windows hold: bounded there
      waitingBytes: Number.POSITIVE_INFINITY,
      deadlineMs: undefined
    })
  }

  /** Messages accepted from their senders and waiting for a commit. */
  get waiting(): number {
    return this.#accepting.waiting
  }

  /**
   * Takes an envelope in; `done` hears what became of it, after the commit. Envelopes from one sender to one recipient
   * are committed, offered and answered in the order they were handed over.
   */
  accept(envelope: Envelope, done: (acceptance: Acceptance) => void): void {
    if (this.#recipients.isOverrun(envelope.network, envelope.recipient)) {
      setImmediate(done, 'recipient-full')
      return
    }
    this.#accepting.add(envelope, (result) => {
      if (typeof result === 'string') done(result)
      else done(this.#recipients.offer(result) ? 'live' : 'queued') // commit first, then look who is here
    })
  }

  /** The next stored entries of a mailbox, oldest first: at most `limit`, about `maxBytes`. */
  take(
    box: { network: string; recipient: string; keyId: string | null },
    afterSeq: number,
    limit: number,
    maxBytes: number
  ) {
    const page = { afterSeq, limit, maxBytes, now: this.#now() }
    return this.#database.within(takePage(this.#database.sql, box, page))
  }

  /** Takes a received entry out of its mailbox, soon: releases share commits. Until then a new session gets it again. */
  release(entry: QueueEntry): void {
    this.#releasing.add(entry, () => {})
  }

  /** Deletes what is past its time, in bounded steps; returns how many entries. */
  async expire(): Promise<number> {
    let expired = 0
    for (;;) {
      const count = await this.#database.within(expireEntries(this.#database.sql, this.#now(), EXPIRY_BATCH))
      expired += count
      if (count < EXPIRY_BATCH) return expired
    }
  }

  /** Resolves when every accepted message is answered and every release is written. */
  async drained(): Promise<void> {
    await this.#accepting.drained()
    await this.#releasing.drained()
  }

  async #store(group: readonly Envelope[]): Promise<(QueueEntry | Refusal | GroupFailure)[]> {
    const now = this.#now()
    const entries = group.map((envelope) => ({
      ...envelope,
      slot: !this.#recipients.has(envelope.network, envelope.recipient, envelope.keyId),
      acceptedAt: now,
      expiresAt: now + this.#limits.ttlMs(envelope.network)
    }))
    try {
      return await this.#database.within(this.#write(entries))
    } catch (error) {
      if (group.length > 1 && isDataError(error)) return this.#storeInHalves(group)
      this.#log.error({ err: error, messages: group.length }, 'messages not stored')
      return group.map(() => 'unavailable' as const)
    }
  }

  /** One entry the database refuses must not take its neighbours with it. */
  async #storeInHalves(group: readonly Envelope[]): Promise<(QueueEntry | Refusal | GroupFailure)[]> {
    const middle = group.length >> 1
    const first = await this.#store(group.slice(0, middle))
    return [...first, ...(await this.#store(group.slice(middle)))]
  }

  async #write(entries: readonly NewEntry[]): Promise<(QueueEntry | Refusal)[]> {
    const { sql } = this.#database
    if (entries.every((entry) => !entry.slot)) return numbered(entries, await insertEntries(sql, entries))
    return sql.begin(async (tx) => {
      const uses = entries.filter((entry) => entry.slot)
      const verdicts = this.#admit(entries, await lockQuotas(tx, uses))
      const admitted = verdicts.filter((verdict) => typeof verdict !== 'string')
      const [seqs] = await Promise.all([
        insertEntries(tx, admitted),
        adjustQuotas(
          tx,
          admitted.filter((entry) => entry.slot),
          1
        )
      ])
      const stored = numbered(admitted, seqs).values()
      return verdicts.map((verdict) => (typeof verdict === 'string' ? verdict : stored.next().value!))
    }) as Promise<(QueueEntry | Refusal)[]>
  }

  /** Which entries still fit their quotas, in order; those without a slot always do. */
  #admit(entries: readonly NewEntry[], held: ReadonlyMap<string, Quota>): (NewEntry | Refusal)[] {
    return entries.map((entry) => {
      if (!entry.slot) return entry
      const { sender, recipient } = quotasFor(entry, held)
      if (sender.entries >= this.#limits.quotaPerSender(entry.network)) return 'quota'
      const full =
        recipient.entries >= this.#limits.recipientMessages ||
        recipient.bytes + entry.bytes > this.#limits.recipientBytes
      if (full) return 'recipient-full'
      sender.entries += 1
      recipient.entries += 1
      recipient.bytes += entry.bytes
      return entry
    })
  }

  async #release(group: readonly EntryRef[]): Promise<true[]> {
    try {
      await this.#database.within(releaseEntries(this.#database.sql, group))
    } catch (error) {
      this.#log.warn(
        { err: error, entries: group.length },
        'received entries not released, they will be delivered again'
      )
    }
    return group.map(() => true)
  }
}

function numbered(entries: readonly NewEntry[], seqs: readonly number[]): QueueEntry[] {
  return entries.map((entry, index) => ({ ...entry, seq: seqs[index]! }))
}

function quotasFor(use: SlotUse, held: ReadonlyMap<string, Quota>) {
  return {
    sender: held.get(quotaKey(use.network, use.sender, 'sender'))!,
    recipient: held.get(quotaKey(use.network, use.recipient, 'recipient'))!
  }
}

/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation): the fault of a row, not of the server. */
function isDataError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && /^2[23]/.test(code)
}
