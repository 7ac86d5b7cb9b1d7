import type { Database } from '../database/database.ts'
import type { SentEntry } from '../delivery/delivery.ts'
import type { Releases } from '../delivery/releases.ts'
import { forgetReceipts, noteReceipts } from '../store/session-receipt.ts'

type Settled = (entry: SentEntry, hasLeft: boolean) => void

/** How long receipts are collected, and how often it is asked whether the other relays have theirs, in ms. */
const COLLECT_MS = 50
const ASK_MS = 500
/** Entries that one question is about. */
const MOST_ENTRIES = 8_192

/**
 * Releases messages whose recipients have sessions at several relays. Each relay notes its receipts in Postgres and asks
 * whether one is owed; the last one takes the message out of the mailbox. Until then it is asked about again and again,
 * a statement every half second for all of them.
 */
export class SharedReleases {
  readonly #database: Database
  readonly #relay: string
  readonly #log: { warn(facts: object, message: string): void }
  #releases: Releases | undefined
  readonly #waiting = new Map<number, { readonly entry: SentEntry; readonly settled: Settled }>()
  /** Entries that have left since the last question. */
  #left: number[] = []
  #timer: NodeJS.Timeout | undefined
  #isAsking = false
  #isClosed = false

  constructor(options: { database: Database; relay: string; log: { warn(facts: object, message: string): void } }) {
    this.#database = options.database
    this.#relay = options.relay
    this.#log = options.log
  }

  /** Before the first release. */
  use(releases: Releases): void {
    this.#releases = releases
  }

  /** Messages that wait for other relays. */
  get waiting(): number {
    return this.#waiting.size
  }

  release(entry: SentEntry, settled: Settled): void {
    this.#waiting.set(entry.seq, { entry, settled })
    this.#schedule(COLLECT_MS)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #schedule(ms: number): void {
    if (!this.#isClosed && !this.#isAsking) this.#timer ??= setTimeout(() => void this.#ask(), ms)
  }

  async #ask(): Promise<void> {
    this.#timer = undefined
    this.#isAsking = true
    const asked = [...this.#waiting.keys()].slice(0, MOST_ENTRIES)
    const left = this.#left.splice(0)
    const { sql } = this.#database
    try {
      if (left.length > 0) await this.#database.within(forgetReceipts(sql, left))
      const owed = new Set(await this.#database.within(noteReceipts(sql, this.#relay, asked)))
      for (const seq of asked) this.#settle(seq, owed.has(seq))
    } catch (error) {
      this.#log.warn({ err: error }, 'receipts for other relays not noted, will try again')
    }
    this.#isAsking = false
    if (this.#waiting.size > 0 || this.#left.length > 0) this.#schedule(ASK_MS)
  }

  #settle(seq: number, isOwed: boolean): void {
    const release = this.#waiting.get(seq)
    if (release === undefined) return
    this.#waiting.delete(seq)
    if (isOwed)
      this.#waiting.set(seq, release) // behind those that were not asked about
    else {
      this.#releases!.release(release.entry, (entry, hasLeft) => {
        this.#left.push(seq)
        release.settled(entry, hasLeft)
      })
    }
  }
}
