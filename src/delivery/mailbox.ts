import type { Database, TransactionSql } from '../database/database.ts'
import { sqlState } from '../database/sql-state.ts'
import { strangers } from '../store/contact.ts'
import type { Message, QueueEntry } from '../store/queue-entry.ts'
import { type Quota, quotaKey, quotasOf, releaseSlots, takeSlots } from '../store/quota.ts'
import type { BatchFailure, BatchObserver } from '../util/batcher.ts'
import { Deadlines } from '../util/deadlines.ts'
import type { DailyBytes } from './daily-bytes.ts'
import { GroupCommit } from './group-commit.ts'
import type { MailboxCounter, MailboxLimit } from './mailbox-counter.ts'
import type { MailboxFloors } from './mailbox-floors.ts'
import type { MessageStore, Repeat } from './message-store.ts'
import type { NetworkTotals } from './network-totals.ts'
import { limitOfStrangers, SHARE_OF_STRANGERS } from './strangers.ts'

/** Committed, and the recipient is connected, or away. */
export const ACCEPTED = ['live', 'queued'] as const
/**
 * `duplicate`: another body under a digest that was used, or one given up since. `quota`, `recipient_full` and `daily_bytes`
 * name the limit; `busy` and `unavailable` are ours.
 */
export const NOT_ACCEPTED = ['duplicate', 'quota', 'recipient_full', 'daily_bytes', 'busy', 'unavailable'] as const
/** What became of a message. */
export type Acceptance = (typeof ACCEPTED)[number] | (typeof NOT_ACCEPTED)[number]

/** What is decided of a message before it is stored. */
export interface Admission {
  /** Its recipient is away: it takes a place in the quotas of both. */
  readonly slot: boolean
  /** Where room was taken for it; undefined: nowhere in this process. */
  readonly counter?: MailboxCounter | undefined
}

/** Who is connected: what the mailbox knows of sessions. */
export interface Recipients {
  /**
   * Is the recipient connected, and is there room in its mailbox? `then` is called at once or later; for the messages from
   * one sender to one recipient, in their order.
   */
  admit(
    message: Message,
    limit: MailboxLimit,
    then: (admission: Admission | 'recipient_full' | 'unavailable') => void
  ): void
  /** A message is committed: offers it. `done` hears, for one recipient in order, whether any of its sessions takes it. */
  committed(entry: QueueEntry, admission: Admission, done: (isConnected: boolean) => void): void
  /** A message that was admitted is not stored. */
  dropped(message: Message, admission: Admission): void
  /** Has the recipient's sessions look for a stored entry at a place they may have passed; `done` as above. */
  reread(message: Message, seq: number, done: (isConnected: boolean) => void): void
}

export interface MailboxLimits {
  /** Messages one sender may have waiting in a network for peers that are away. */
  readonly quotaPerSender: number
  /** Messages and bytes that may wait for one recipient, connected or not. */
  readonly recipientMessages: number
  readonly recipientBytes: number
  readonly waitingMessages: number
  readonly waitingBytes: number
  /** Longest a sender waits for an answer. */
  readonly deadlineMs: number
}

export interface MailboxOptions {
  readonly database: Database
  readonly recipients: Recipients
  readonly store: MessageStore
  /** What senders and networks have stored today. */
  readonly daily: DailyBytes
  /** What waits in each network. */
  readonly totals: Pick<NetworkTotals, 'hasRoom'>
  readonly limits: MailboxLimits
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: { error(facts: object, message: string): void }
  /** Hears what became of every message. */
  readonly count?: (acceptance: Acceptance) => void
  /** Hears of every entry that was stored. */
  readonly stored?: (entry: QueueEntry) => void
  readonly observer?: BatchObserver
  /** Learns the places of what is stored; undefined: other relays store, too. */
  readonly floors?: MailboxFloors | undefined
}

type Refusal = 'quota' | 'recipient_full'
type Verdict = QueueEntry | Repeat | Refusal

/** An entry whose time is set when its group is written. */
type NewEntry = { -readonly [F in keyof QueueEntry]: QueueEntry[F] }

/**
 * The way into the mailboxes of one protocol; what the protocols differ in is the message store. Accepting is a group
 * commit: message, audit record and quota in one transaction, answered after it.
 *
 * The order that everything relies on: a message is committed, then the recipient is looked up; a recipient becomes
 * visible, then its mailbox is read. So a message that is committed while its recipient registers is offered or read.
 */
export class Mailbox {
  readonly #options: MailboxOptions
  readonly #limit: MailboxLimit
  readonly #commit: GroupCommit<NewEntry, Verdict>
  readonly #deadlines: Deadlines
  /** Messages of which it is not known yet what becomes of them. */
  #open = 0
  #whenDrained: (() => void)[] = []

  constructor(options: MailboxOptions) {
    this.#options = options
    const { log, limits } = options
    this.#limit = { messages: limits.recipientMessages, bytes: limits.recipientBytes }
    this.#deadlines = new Deadlines(limits.deadlineMs)
    this.#commit = new GroupCommit({
      write: (entries) => this.#writeSeen(entries),
      limits: options.limits,
      failed: (error, messages) => log.error({ err: error, messages }, 'messages not stored'),
      observer: options.observer
    })
  }

  /** Messages accepted from their senders and waiting for a commit. */
  get waiting(): number {
    return this.#commit.waiting
  }

  /** Messages that were written, or tried to be, since the start. */
  get written(): number {
    return this.#commit.written
  }

  /**
   * Takes a message; `done` hears what became of it, after the commit. Messages from one sender to one recipient are
   * committed, offered and answered in the order they were handed over. After the deadline it is `unavailable`, whatever it
   * waits for; one that is committed even so is delivered as any other. `since`: when its sender began to wait.
   */
  accept(message: Message, done: (acceptance: Acceptance) => void, since?: number): void {
    const { recipients, daily, totals, count } = this.#options
    this.#open += 1
    const tell = (acceptance: Acceptance) => {
      count?.(acceptance)
      done(acceptance)
    }
    const wait = this.#deadlines.begin(() => tell('unavailable'), since)
    const answer = (acceptance: Acceptance) => {
      this.#settled()
      if (wait.end()) tell(acceptance)
    }
    if (!totals.hasRoom(message)) {
      setImmediate(answer, 'busy')
      return
    }
    if (!daily.take(message)) {
      setImmediate(answer, 'daily_bytes')
      return
    }
    recipients.admit(message, this.#limit, (admission) => {
      if (typeof admission === 'string') setImmediate(answer, admission)
      else this.#store(message, admission, answer)
    })
  }

  /** Resolves when it is known of every message what became of it. */
  drained(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenDrained.push(resolve))
  }

  #settled(): void {
    this.#open -= 1
    if (this.#open === 0) for (const resolve of this.#whenDrained.splice(0)) resolve()
  }

  #store(message: Message, admission: Admission, answer: (acceptance: Acceptance) => void): void {
    // Written out, not spread: this runs for every message, and a spread costs.
    const { network, sender, recipient, digest, sealed, bytes, keyId } = message
    const { slot } = admission
    const entry: NewEntry = {
      seq: 0,
      network,
      sender,
      recipient,
      digest,
      sealed,
      bytes,
      keyId,
      slot,
      acceptedAt: 0,
      deliveries: 0
    }
    this.#commit.add(entry, (result) => this.#written(entry, admission, result, answer))
  }

  /** After the commit: who is connected is read only now, so no peer that registered meanwhile is missed. */
  #written(
    entry: QueueEntry,
    admission: Admission,
    result: Verdict | BatchFailure,
    answer: (acceptance: Acceptance) => void
  ): void {
    const { recipients, stored, floors } = this.#options
    const answerBy = (isConnected: boolean) => answer(isConnected ? 'live' : 'queued')
    if (typeof result !== 'string' && !isRepeat(result)) {
      stored?.(entry)
      recipients.committed(result, admission, answerBy)
      return
    }
    recipients.dropped(entry, admission)
    if (typeof result === 'string') answer(result)
    else if (result.repeat === 'duplicate') answer('duplicate')
    // An exact repeat is answered like the first time.
    else if (result.repeat === 'received') answer('live')
    else {
      // It may have been given up before it was committed, and no session was told of the commit.
      floors?.stays(entry, result.seq)
      recipients.reread(entry, result.seq, answerBy)
    }
  }

  #writeSeen(entries: readonly NewEntry[]): Promise<Verdict[]> {
    const { floors } = this.#options
    const write = () => this.#writeNew(entries)
    return floors === undefined ? write() : floors.writing(entries, write)
  }

  /** Nearly always all are new; a group in which one is not is written again, with care. */
  async #writeNew(entries: readonly NewEntry[]): Promise<Verdict[]> {
    const { database, now } = this.#options
    const acceptedAt = now()
    for (const entry of entries) entry.acceptedAt = acceptedAt
    try {
      return await database.within(this.#write(entries, true))
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION) throw error
    }
    return database.within(this.#write(entries, false))
  }

  async #write(entries: readonly QueueEntry[], isNew: boolean): Promise<Verdict[]> {
    const { database, store } = this.#options
    const uses = entries.filter((entry) => entry.slot)
    if (uses.length === 0) return store.insert(database.sql, entries, isNew)
    return database.sql.begin(async (tx) => {
      const quotas = await takeSlots(tx, uses)
      if (isNew && this.#haveRoom(quotas)) return store.insert(tx, entries, true)
      return this.#writeSome(tx, entries, quotas)
    }) as Promise<Verdict[]>
  }

  /** Not all of these fit their quotas, or are new: a repeat takes no place. `quotas`: with all of them. */
  async #writeSome(
    tx: TransactionSql,
    entries: readonly QueueEntry[],
    quotas: ReadonlyMap<string, Quota>
  ): Promise<Verdict[]> {
    const { store } = this.#options
    const uses = entries.filter((entry) => entry.slot)
    const repeats = await store.repeats(tx, entries)
    const isStranger = await strangers(
      tx,
      uses.filter((use) => this.#isNearlyFull(recipientOf(use, quotas)))
    )
    const held = without(uses, quotas)
    const verdicts = entries.map((entry, index) => repeats[index] ?? this.#admit(entry, held, isStranger(entry)))
    const stored = await store.insert(tx, verdicts.filter(isEntry), false)
    const isStored = new Set(stored.filter(isEntry))
    await releaseSlots(
      tx,
      uses.filter((use) => !isStored.has(use))
    )
    const next = stored.values()
    return verdicts.map((verdict) => (isEntry(verdict) ? next.next().value! : verdict))
  }

  /** Are all quotas kept, whoever sends? */
  #haveRoom(quotas: ReadonlyMap<string, Quota>): boolean {
    for (const quota of quotas.values()) {
      const isOver =
        quota.role === 'sender' ? quota.entries > this.#options.limits.quotaPerSender : this.#isNearlyFull(quota)
      if (isOver) return false
    }
    return true
  }

  /** Is this more than strangers may have in a mailbox? */
  #isNearlyFull({ entries, bytes }: Quota): boolean {
    const { recipientMessages, recipientBytes } = this.#options.limits
    const share = limitOfStrangers({ messages: recipientMessages, bytes: recipientBytes })
    return entries > share.messages || bytes > share.bytes
  }

  /** Does an entry fit its quotas? What fits is counted in `held`, so the next one sees it; without a slot all fit. */
  #admit(entry: QueueEntry, held: ReadonlyMap<string, Quota>, isStranger: boolean): QueueEntry | Refusal {
    if (!entry.slot) return entry
    const { limits } = this.#options
    const sender = held.get(quotaKey(entry.network, entry.sender, 'sender'))!
    const recipient = recipientOf(entry, held)
    if (sender.entries >= limits.quotaPerSender) return 'quota'
    const share = isStranger ? SHARE_OF_STRANGERS : 1
    const isFull =
      recipient.entries >= limits.recipientMessages * share ||
      recipient.bytes + entry.bytes > limits.recipientBytes * share
    if (isFull) return 'recipient_full'
    sender.entries += 1
    recipient.entries += 1
    recipient.bytes += entry.bytes
    return entry
  }
}

const recipientOf = ({ network, recipient }: QueueEntry, quotas: ReadonlyMap<string, Quota>): Quota =>
  quotas.get(quotaKey(network, recipient, 'recipient'))!

/** What these quotas hold without these uses. */
function without(uses: readonly QueueEntry[], quotas: ReadonlyMap<string, Quota>): Map<string, Quota> {
  const taken = quotasOf(uses).map((use) => [quotaKey(use.network, use.peer, use.role), use] as const)
  return new Map(
    taken.map(([key, use]) => {
      const { entries, bytes } = quotas.get(key)!
      return [key, { ...use, entries: entries - use.entries, bytes: bytes - use.bytes }]
    })
  )
}

const isRepeat = (verdict: QueueEntry | Repeat): verdict is Repeat => 'repeat' in verdict
const isEntry = (verdict: Verdict): verdict is QueueEntry => typeof verdict !== 'string' && !isRepeat(verdict)

const UNIQUE_VIOLATION = '23505'
