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
  /** Writes a frame; `settled` hears whether its bytes left, once, and not at all after the socket is gone. */
  write(frame: string, settled: (error?: Error | null) => void): void
  /** The entry was received and leaves the mailbox. */
  release(entry: QueueEntry): void
}

/** How much a session is sent before the first of it is settled; past it, entries stay in Postgres until it catches up. */
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
  #unsettled = 0
  #unsettledBytes = 0
  #retry: NodeJS.Timeout | undefined

  constructor(route: DeliveryRoute, window: DeliveryWindow) {
    this.route = route
    this.#window = window
  }

  /** Is the session so far behind that its senders must be told? */
  get isOverrun(): boolean {
    return this.#lag > MAX_LAG
  }

  /** Begins with the stored entries. The peer must be visible to senders before this, so that none falls in between. */
  start(): void {
    if (this.#state === 'idle') void this.#read()
  }

  /** Sends nothing more; what is unsettled stays in the mailbox. */
  stop(): void {
    this.#state = 'stopped'
    clearTimeout(this.#retry)
  }

  /** Takes note of a committed entry: sent at once at the head, else read from the mailbox in its turn. */
  offer(entry: QueueEntry): void {
    if (this.#state === 'live' && this.#hasRoom()) this.#send(entry)
    else {
      this.#lag += 1
      if (this.#state === 'live') this.#state = 'behind'
      else this.#offeredMeanwhile = true
    }
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
    for (const entry of page) {
      if (!this.#isReading()) return
      if (!this.#hasRoom()) {
        this.#state = 'behind'
        return
      }
      this.#lag = Math.max(0, this.#lag - 1)
      this.#send(entry)
    }
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
    this.#unsettled += 1
    this.#unsettledBytes += entry.bytes
    const frame = this.route.encode(entry, entry.slot || !this.#caughtUpOnce)
    this.route.write(frame, (error) => this.#settled(entry, error))
  }

  #settled(entry: QueueEntry, error?: Error | null): void {
    if (error || this.#state === 'stopped') return
    this.#unsettled -= 1
    this.#unsettledBytes -= entry.bytes
    this.route.release(entry)
    if (this.#state === 'behind' && this.#unsettled <= this.#window.messages / 2) void this.#read()
  }

  #hasRoom(): boolean {
    return this.#unsettled < this.#window.messages && this.#unsettledBytes < this.#window.bytes
  }

  #isReading(): boolean {
    return this.#state === 'reading'
  }
}
