import type { SentEntry } from './delivery.ts'

/** How much of what one session receipted may wait for the slowest session of the same peer. */
const SHARE_MESSAGES = 4_096
const SHARE_BYTES = 67_108_864
/** How long what a lost session did not receipt is kept for its return, in ms. */
const RETURN_MS = 600_000

/** What a session that was lost still owed: these places, and those it had not come to. */
export interface LostSession {
  readonly unreceipted: ReadonlySet<number>
  readonly cursor: number
  /** Place of the last entry that was committed before it was lost. */
  readonly lastSeq: number
}

/**
 * What one session has receipted and another session of the same peer has not: it stays in the mailbox, so that no device
 * loses a message because another one was faster. What a lost session owed is kept for its return for some minutes.
 */
export class HeldBack {
  readonly #entries = new Map<number, SentEntry>()
  #lost: (LostSession & { readonly until: number })[] = []
  #bytes = 0

  /** Is the slowest session further behind than its share? */
  get isTooMuch(): boolean {
    return this.#entries.size > SHARE_MESSAGES || this.#bytes > SHARE_BYTES
  }

  get entries(): readonly SentEntry[] {
    return [...this.#entries.values()]
  }

  add(entry: SentEntry): void {
    if (this.#entries.has(entry.seq)) return
    this.#entries.set(entry.seq, entry)
    this.#bytes += entry.bytes
  }

  delete(seq: number): void {
    const entry = this.#entries.get(seq)
    if (entry === undefined) return
    this.#entries.delete(seq)
    this.#bytes -= entry.bytes
  }

  /** Another session of the peer was lost, when the clock showed `now` (ms). */
  lost(session: LostSession, now: number): void {
    this.#lost.push({ ...session, until: now + RETURN_MS })
  }

  /** Is the return of a session waited for that owes the entry at this place? */
  isKept(seq: number): boolean {
    return this.#lost.some(
      ({ unreceipted, cursor, lastSeq }) => unreceipted.has(seq) || (seq > cursor && seq <= lastSeq)
    )
  }

  /** A session of the peer has come: it reads everything that is kept. */
  returned(): void {
    this.#lost = []
  }

  /** Gives up waiting for sessions that were lost too long ago; true when there was one. */
  giveUp(now: number): boolean {
    const waitedFor = this.#lost.length
    if (waitedFor > 0) this.#lost = this.#lost.filter(({ until }) => until > now)
    return this.#lost.length < waitedFor
  }
}
