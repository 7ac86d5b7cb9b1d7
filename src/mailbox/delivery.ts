import type { QueueEntry } from '../store/queue-entry.ts'

/** What one session is sent from one mailbox, and how. */
export interface DeliveryRoute {
  readonly network: string
  readonly recipient: string
  /** The encryption key the peer registered with: entries sealed for another one are withheld from it. */
  readonly keyId: string | null
  /** Reads stored entries after a place, oldest first: a page. */
  take(afterSeq: number, limit: number, maxBytes: number): Promise<QueueEntry[]>
  /** May this entry be sent to this peer at all? What is refused stays in the mailbox. */
  admits(entry: QueueEntry): boolean
  /** The frame that carries the entry; `backlog` when it was accepted before the session had caught up. */
  encode(entry: QueueEntry, backlog: boolean): string
  /** Writes a frame. */
  write(frame: string): void
  /** `sent` frames were written in all; `urgent`: no more fits before a receipt. Receipts come back through receipt(). */
  wrote(sent: number, urgent: boolean): void
  /** The entry was received and leaves the mailbox. */
  release(entry: QueueEntry): void
}

/** How much a session is sent before the first of it is receipted; past it, entries stay in Postgres until it catches up. */
export interface DeliveryWindow {
  readonly messages: number
  readonly bytes: number
}

const PAGE_ENTRIES = 128
/** Pause before a page that could not be read is tried again, in ms. */
const RETRY_MS = 500
/** How far a connected recipient may fall behind before senders are refused: messages that wait only for its window. */
const MAX_LAG = 100_000

/**
 * Sends one mailbox to one session, in order: what is stored first, then what comes in. One path for both: it reads
 * pages from Postgres until it is at the head, then takes committed entries from memory; when the window fills up it
 * falls back to reading. An entry offered meanwhile is never lost: it is committed, so the next page has it.
 */
export class Delivery {
  readonly route: DeliveryRoute
  readonly #window: DeliveryWindow
  #state: 'idle' | 'reading' | 'live' | 'behind' | 'stopped' = 'idle'
  /** Place of the last entry that was sent or withheld: pages begin after it. */
  #sentSeq = 0
  /** An entry was committed after the page under way was asked for. */
  #offeredMeanwhile = false
  #caughtUpOnce = false
  #lag = 0
  /** Sent and not yet receipted, oldest first: the window. An entry acknowledged out of turn leaves a gap. */
  readonly #unreceipted: (QueueEntry | undefined)[] = []
  #sent = 0
  #receipted = 0
  #bytes = 0
  #progressAt = performance.now()
  #retry: NodeJS.Timeout | undefined

  constructor(route: DeliveryRoute, window: DeliveryWindow) {
    this.route = route
    this.#window = window
  }

  /** Is the session so far behind that its senders must be told? */
  get isOverrun(): boolean {
    return this.#lag > MAX_LAG
  }

  /** Entries sent to the session in all. */
  get sent(): number {
    return this.#sent
  }

  /** What the session was sent and has not receipted. */
  get unreceipted(): { messages: number; bytes: number } {
    return { messages: this.#sent - this.#receipted, bytes: this.#bytes }
  }

  /** When the window last moved while there was something in it (performance.now()), or undefined when it is empty. */
  get waitingSince(): number | undefined {
    return this.#sent > this.#receipted ? this.#progressAt : undefined
  }

  /** Begins with the stored entries. The peer must be visible to senders before this, so that none falls in between. */
  start(): void {
    if (this.#state === 'idle') void this.#read()
  }

  /** Sends nothing more; what is not receipted stays in the mailbox, whatever this session says later. */
  stop(): void {
    this.#state = 'stopped'
    clearTimeout(this.#retry)
  }

  /** Takes note of a committed entry: sent at once at the head, else read from the mailbox in its turn. */
  offer(entry: QueueEntry): void {
    if (this.#state === 'live' && this.#hasRoom()) {
      this.#send(entry)
      this.#wrote()
    } else {
      this.#lag += 1
      if (this.#state === 'live') this.#state = 'behind'
      else this.#offeredMeanwhile = true
    }
  }

  /** The first `count` entries sent were received. */
  receipt(count: number): void {
    if (this.#state === 'stopped' || count > this.#sent) return
    for (const entry of this.#unreceipted.splice(0, count - this.#receipted))
      if (entry !== undefined) this.#release(entry)
    this.#receipted = Math.max(count, this.#receipted)
    this.#progressAt = performance.now()
    if (this.#state === 'behind' && this.#sent - this.#receipted <= this.#window.messages / 2) void this.#read()
  }

  /** The entry at this place in the mailbox and all sent before it were received; unknown places are ignored. */
  acknowledgeTo(seq: number): void {
    const last = this.#unreceipted.findLastIndex((entry) => entry !== undefined && entry.seq <= seq)
    if (last >= 0) this.receipt(this.#receipted + last + 1)
  }

  /** The entries its senders call so were received; unknown digests are ignored. */
  acknowledge(digest: string): void {
    if (this.#state === 'stopped') return
    for (const [index, entry] of this.#unreceipted.entries()) {
      if (entry?.digest !== digest) continue
      this.#release(entry)
      this.#unreceipted[index] = undefined
    }
    const first = this.#unreceipted.findIndex((entry) => entry !== undefined)
    this.receipt(first === -1 ? this.#sent : this.#receipted + first)
  }

  #release(entry: QueueEntry): void {
    this.#bytes -= entry.bytes
    this.route.release(entry)
  }

  async #read(): Promise<void> {
    this.#state = 'reading'
    this.#offeredMeanwhile = false
    let page: QueueEntry[]
    try {
      page = await this.route.take(this.#sentSeq, PAGE_ENTRIES, this.#window.bytes)
    } catch {
      if (this.#isReading()) this.#retry = setTimeout(() => void this.#read(), RETRY_MS)
      return
    }
    if (!this.#isReading()) return
    for (const entry of page) {
      if (!this.#hasRoom()) {
        this.#state = 'behind'
        break
      }
      this.#lag = Math.max(0, this.#lag - 1)
      this.#send(entry)
    }
    if (page.length > 0) this.#wrote()
    this.#afterPage(page.length === 0)
  }

  /** A page may be short of its limit by bytes; only an empty one says that there is no more. */
  #afterPage(empty: boolean): void {
    if (!this.#isReading()) return
    if (!empty || this.#offeredMeanwhile) {
      void this.#read()
      return
    }
    this.#state = 'live'
    this.#caughtUpOnce = true
    this.#lag = 0
  }

  #send(entry: QueueEntry): void {
    this.#sentSeq = entry.seq
    if (!this.route.admits(entry)) return
    if (this.#sent === this.#receipted) this.#progressAt = performance.now()
    this.#sent += 1
    this.#bytes += entry.bytes
    this.#unreceipted.push(entry)
    this.route.write(this.route.encode(entry, entry.slot || !this.#caughtUpOnce))
  }

  #wrote(): void {
    this.route.wrote(this.#sent, !this.#hasRoom())
  }

  #hasRoom(): boolean {
    return this.#sent - this.#receipted < this.#window.messages && this.#bytes < this.#window.bytes
  }

  #isReading(): boolean {
    return this.#state === 'reading'
  }
}
