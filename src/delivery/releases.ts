import { setTimeout as delay } from 'node:timers/promises'
import { batched, bisectOnError, isOfTheBatch } from '../database/batched.ts'
import type { Database } from '../database/database.ts'
import { type EndedSession, type GoneEntry, noteEnded, releaseEntries } from '../store/queue-entry.ts'
import { Batcher, type BatchFailure } from '../util/batcher.ts'
import { BusyMap } from '../util/busy-map.ts'
import type { SentEntry } from './delivery.ts'

/** No caller waits for a release, so many share a commit. In ms. */
const BATCH_PAUSE_MS = 20
const BATCH_ITEMS = 2_048
/** How often a release is tried while Postgres is away, and the pause after one that failed, in ms. */
const TRIES = 120
const RETRY_MS = 500
/** Most entries remembered as sent in vain; the oldest are forgotten. */
const MOST_RETURNED = 100_000

type Log = { error(facts: object, message: string): void; warn(facts: object, message: string): void }

/**
 * The way out of the mailboxes of both protocols: deletes what was received, and notes what was not.
 *
 * A release has these steps: an entry is releasing from its receipt on; its deletion is committed; `settled` is called; and it
 * stays releasing until no page is being read that may have been asked for before that commit. So a recipient that comes
 * back at once is not sent it again out of such a page.
 *
 * How much waits is bounded by the deliveries: each stops sending when too much of what it sent is not deleted yet.
 */
export class Releases {
  readonly #log: Log
  readonly #database: Database
  readonly #batcher: Batcher<{ seq: number; bytes: number }, true>
  readonly #noteEnded: (session: EndedSession) => Promise<true | BatchFailure>
  readonly #noting = new Set<Promise<unknown>>()
  /** Places that are releasing; `true`: it left the mailbox by another way meanwhile. */
  readonly #releasing = new BusyMap<number, boolean>()
  /** Pages that are being read, and what left since the oldest of them was asked for. */
  #pagesUnderWay = 0
  #leftMeanwhile: number[] = []
  readonly #returned = new Set<number>()

  constructor(options: { database: Database; log: Log }) {
    const { database, log } = options
    this.#database = database
    this.#log = log
    const unbounded = Number.POSITIVE_INFINITY
    this.#batcher = new Batcher({
      write: (batch) => this.#write(batch),
      limits: {
        ...{ batchItems: BATCH_ITEMS, batchBytes: unbounded, waitingItems: unbounded, waitingBytes: unbounded },
        ...{ deadlineMs: undefined, pauseMs: BATCH_PAUSE_MS }
      },
      failed: (error) => log.error({ err: error }, 'release not followed up')
    })
    this.#noteEnded = batched({
      database,
      work: async (sql, sessions) => {
        await noteEnded(sql, sessions)
        return sessions.map(() => true as const)
      },
      failed: (error, sessions) => log.warn({ err: error, sessions }, 'end of sessions not noted')
    })
  }

  /** Is this entry on its way out, or did it leave a moment ago? */
  isReleasing(seq: number): boolean {
    return this.#releasing.size > 0 && this.#releasing.has(seq)
  }

  /** Was it sent before, in vain? Asked once: forgets it. */
  wasReturned(seq: number): boolean {
    return this.#returned.size > 0 && this.#returned.delete(seq)
  }

  /**
   * Takes a received entry out of its mailbox, soon. `settled` hears, after the commit, whether this took it out: not when
   * it has to stay, or had left by another way.
   */
  release(entry: SentEntry, settled: (entry: SentEntry, hasLeft: boolean) => void): void {
    this.#releasing.set(entry.seq, false)
    this.#batcher.add(entry, (result) => {
      const wasGone = this.#releasing.get(entry.seq) === true
      if (result === true) this.#forgetLater(entry.seq)
      else {
        this.#releasing.delete(entry.seq)
        this.#return(entry.seq)
      }
      settled(entry, result === true && !wasGone)
    })
  }

  /** These entries expired or were purged. */
  gone(entries: readonly GoneEntry[]): void {
    for (const { seq } of entries) if (this.#releasing.has(seq)) this.#releasing.set(seq, true)
  }

  /** Reads a page: what leaves the mailbox meanwhile is remembered until no such page is under way. */
  async reading<T>(read: () => Promise<T>): Promise<T> {
    this.#pagesUnderWay += 1
    try {
      return await read()
    } finally {
      this.#pagesUnderWay -= 1
      // After the caller that awaits this page has checked its entries.
      if (this.#pagesUnderWay === 0) setImmediate(() => this.#forget())
    }
  }

  /** A session has ended, see `noteEnded`. */
  ended(session: EndedSession): void {
    for (const seq of session.unreceipted) this.#return(seq)
    this.#note(this.#noteEnded(session))
  }

  /** The same, once it is known whether the peer is away. What cannot be known is noted by the relay that finds it out. */
  endedAfter(session: Promise<EndedSession>): void {
    this.#note(
      session.then(
        (ended) => this.ended(ended),
        () => undefined
      )
    )
  }

  #note(work: Promise<unknown>): void {
    const noting = work.finally(() => this.#noting.delete(noting))
    this.#noting.add(noting)
  }

  /** Resolves when every release is written, and every end of a session noted. */
  async drained(): Promise<void> {
    await this.#batcher.drained()
    while (this.#noting.size > 0) await Promise.all(this.#noting)
  }

  #return(seq: number): void {
    this.#returned.add(seq)
    if (this.#returned.size > MOST_RETURNED) this.#returned.delete(this.#returned.values().next().value!)
  }

  #forgetLater(seq: number): void {
    this.#leftMeanwhile.push(seq)
    if (this.#pagesUnderWay === 0) this.#forget()
  }

  #forget(): void {
    if (this.#pagesUnderWay > 0) return
    for (const seq of this.#leftMeanwhile.splice(0)) this.#releasing.delete(seq)
  }

  /** An entry that Postgres refuses to delete stays, alone; while Postgres is away all are tried again and again. */
  async #write(batch: readonly { seq: number }[]): Promise<(true | BatchFailure)[]> {
    const failed = (error: unknown, entries: number) =>
      this.#log.error({ err: error, entries }, 'received entries not released, they will be delivered again')
    return bisectOnError(batch, (some) => this.#delete(some), failed)
  }

  async #delete(batch: readonly { seq: number }[]): Promise<true[]> {
    const seqs = batch.map(({ seq }) => seq)
    for (let tries = 1; ; tries++) {
      try {
        await this.#database.within(releaseEntries(this.#database.sql, seqs))
        return batch.map(() => true)
      } catch (error) {
        if (isOfTheBatch(error) || tries === TRIES) throw error
        if (tries === 1) this.#log.warn({ err: error, entries: batch.length }, 'received entries not released yet')
        await delay(RETRY_MS, undefined, { ref: false })
      }
    }
  }
}
