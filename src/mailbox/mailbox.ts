import type { Database } from '../store/database.ts'
import { type EntryRef, type NewEntry, type QueueEntry, releaseEntries, takePage } from '../store/queue-entry.ts'
import { adjustQuotas, lockQuotas, type Quota, quotaKey, type SlotUse } from '../store/quota.ts'
import type { Acceptance, Envelope } from './envelope.ts'
import { GroupCommit, type GroupFailure } from './group-commit.ts'
import type { Repeat, Shelf } from './shelf.ts'

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

/**
 * The way in and out of the mailboxes of one protocol; what the protocols differ in is the shelf. Accepting is a group commit: message and quota in one
 * transaction, answered after it. A recipient's groups are written one after the other, so places in its mailbox follow
 * acceptance.
 */
export class Mailbox {
  readonly #database: Database
  readonly #recipients: Recipients
  readonly #shelf: Shelf
  readonly #limits: MailboxLimits
  readonly #now: () => number
  readonly #log: Log
  readonly #lanes: readonly GroupCommit<Envelope, Verdict>[]
  readonly #releasing: GroupCommit<EntryRef & { bytes: number }, true>

  constructor(options: {
    database: Database
    recipients: Recipients
    shelf: Shelf
    limits: MailboxLimits
    now: () => number
    log: Log
  }) {
    const { database, recipients, shelf, limits, now, log } = options
    this.#database = database
    this.#recipients = recipients
    this.#shelf = shelf
    this.#limits = limits
    this.#now = now
    this.#log = log
    this.#lanes = Array.from(
      { length: LANES },
      () =>
        new GroupCommit<Envelope, Verdict>((group) => this.#store(group), {
          groupItems: GROUP_ITEMS,
          groupBytes: GROUP_BYTES,
          waitingItems: limits.waitingMessages / LANES,
          waitingBytes: limits.waitingBytes / LANES,
          deadlineMs: limits.deadlineMs
        })
    )
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
    return this.#lanes.reduce((sum, lane) => sum + lane.waiting, 0)
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
    this.#laneOf(envelope.recipient).add(envelope, (result) => done(this.#outcome(envelope, result)))
  }

  #laneOf(recipient: string): GroupCommit<Envelope, Verdict> {
    let hash = 0
    for (let at = 0; at < recipient.length; at++) hash = (hash * 31 + recipient.charCodeAt(at)) | 0
    return this.#lanes[(hash >>> 0) % LANES]!
  }

  /** After the commit: who is here is looked up only now, so nobody who registered meanwhile is missed. */
  #outcome(envelope: Envelope, result: Verdict | GroupFailure): Acceptance {
    if (typeof result !== 'string') return this.#recipients.offer(result) ? 'live' : 'queued'
    if (result === 'received') return 'live' // an exact repeat is answered like the first time
    if (result !== 'waiting') return result
    return this.#recipients.has(envelope.network, envelope.recipient, envelope.keyId) ? 'live' : 'queued'
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

  /** Resolves when every accepted message is answered and every release is written. */
  async drained(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.drained()))
    await this.#releasing.drained()
  }

  async #store(group: readonly Envelope[]): Promise<(Verdict | GroupFailure)[]> {
    const now = this.#now()
    // Written out, not spread: this runs for every message, and all of them get one shape.
    const entries = group.map(({ network, sender, recipient, digest, sealed, bytes, keyId }) => {
      const slot = !this.#recipients.has(network, recipient, keyId)
      const expiresAt = now + this.#limits.ttlMs
      return { seq: 0, network, sender, recipient, digest, sealed, bytes, keyId, slot, acceptedAt: now, expiresAt }
    })
    try {
      return await this.#database.within(this.#write(entries))
    } catch (error) {
      if (group.length > 1 && isDataError(error)) return this.#storeInHalves(group)
      this.#log.error({ err: error, messages: group.length }, 'messages not stored')
      return group.map(() => 'unavailable' as const)
    }
  }

  /** One entry the database refuses must not take its neighbours with it. */
  async #storeInHalves(group: readonly Envelope[]): Promise<(Verdict | GroupFailure)[]> {
    const middle = group.length >> 1
    const first = await this.#store(group.slice(0, middle))
    return [...first, ...(await this.#store(group.slice(middle)))]
  }

  async #write(entries: readonly NewEntry[]): Promise<Verdict[]> {
    const { sql } = this.#database
    const uses = entries.filter((entry) => entry.slot)
    if (uses.length === 0) return this.#shelf.insert(sql, entries)
    return sql.begin(async (tx) => {
      const [held, repeats] = await Promise.all([lockQuotas(tx, uses), this.#shelf.repeats(tx, entries)])
      const verdicts = entries.map((entry, index) => repeats[index] ?? this.#admit(entry, held))
      const stored = await this.#shelf.insert(
        tx,
        verdicts.filter((verdict) => typeof verdict !== 'string')
      )
      await adjustQuotas(
        tx,
        stored.filter((result) => typeof result !== 'string').filter((entry) => entry.slot),
        1
      )
      const next = stored.values()
      return verdicts.map((verdict) => (typeof verdict === 'string' ? verdict : next.next().value!))
    }) as Promise<Verdict[]>
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
