import type { QueueEntry } from '../store/queue-entry.ts'

/** What is kept of an entry that was sent, until it is received: not its body. */
export type SentEntry = Pick<QueueEntry, 'seq' | 'digest' | 'bytes' | 'slot' | 'acceptedAt'>

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
  /** Does the socket hold more outgoing bytes than it should? Then nothing is written until it has drained. */
  isBehind(): boolean
  /** Calls back once the socket has drained. */
  onDrained(listener: () => void): void
  /** These entries were received and leave the mailbox. Once one has, gone() is told. */
  release(entries: readonly SentEntry[]): void
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
  /**
   * Places of entries that were sent and may still be in the mailbox: not to be sent again by this session. Only of those
   * with a digest: without one nothing is recalled, only freed.
   */
  readonly #outstanding = new Set<number>()
  /** Those that left it while a page was read, which may hold them still. */
  #goneMeanwhile: number[] = []
  /** A place that was passed and has to be looked at again. */
  #recalled: number | undefined
  /** Places that were withheld until now, and the first of them that is not looked at yet. */
  readonly #freed = new Set<number>()
  #freedFrom: number | undefined
  /** How far this session had come when places before it were freed: up to here, only they are sent. */
  #passedTo = 0
  /** Sent and not yet receipted, oldest first: the window. An entry acknowledged out of turn leaves a gap. */
  readonly #unreceipted: (SentEntry | undefined)[] = []
  #sent = 0
  #receipted = 0
  #bytes = 0
  #progressAt = performance.now()
  #awaitsDrain = false
  /** When the page that is asked for was asked for first. */
  #readingSince: number | undefined
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

  /** Since when nothing has moved, though entries are on their way or are being read (performance.now()), or undefined. */
  get stalledSince(): number | undefined {
    return this.waitingSince ?? (this.#isReading() ? this.#readingSince : undefined)
  }

  /** Begins with the stored entries. The peer must be visible to senders before this, so that none falls in between. */
  start(): void {
    if (this.#state === 'idle') void this.#read()
  }

  /** Sends nothing more; what is not receipted, it returns: that stays in the mailbox, whatever this session says later. */
  stop(): SentEntry[] {
    this.#state = 'stopped'
    clearTimeout(this.#retry)
    return this.#unreceipted.splice(0).filter((entry) => entry !== undefined)
  }

  /** Takes note of a committed entry: sent at once at the head, else read from the mailbox in its turn. */
  offer(entry: QueueEntry): void {
    if (this.#state === 'live' && this.#hasRoom()) {
      this.#send(entry)
      this.#wrote()
    } else {
      this.#lag += 1
      if (this.#state === 'live') this.#fallBehind()
      else this.#offeredMeanwhile = true
    }
  }

  /**
   * Looks for a stored entry again. It may have been committed after later ones, when its group had been given up: its
   * place was passed, or nobody was told of it.
   */
  recall(seq: number): void {
    if (this.#outstanding.has(seq)) return
    this.#recalled = Math.min(seq, this.#recalled ?? seq)
    this.#readSoon()
  }

  /** Looks for stored entries that are not withheld any more, at places in ascending order; sends nothing else again. */
  free(places: readonly number[]): void {
    const [first] = places
    if (first === undefined) return
    for (const seq of places) this.#freed.add(seq)
    this.#freedFrom = Math.min(first, this.#freedFrom ?? first)
    this.#readSoon()
  }

  /** The entry at this place has left the mailbox. */
  gone(seq: number): void {
    if (this.#state === 'reading') this.#goneMeanwhile.push(seq)
    else this.#outstanding.delete(seq)
  }

  /** The first `count` entries sent were received. */
  receipt(count: number): void {
    if (this.#state === 'stopped' || count > this.#sent) return
    this.#release(this.#unreceipted.splice(0, count - this.#receipted).filter((entry) => entry !== undefined))
    this.#receipted = Math.max(count, this.#receipted)
    this.#progressAt = performance.now()
    if (this.#sent - this.#receipted <= this.#window.messages / 2) this.#catchUp()
  }

  /**
   * The entry at this place in the mailbox and all sent before it were received. What was recalled or freed was sent
   * after entries of later places; only a place that is not in the window stands for the last one up to it.
   */
  acknowledgeTo(seq: number): void {
    const at = this.#unreceipted.findIndex((entry) => entry?.seq === seq)
    const last = at >= 0 ? at : this.#unreceipted.findLastIndex((entry) => entry !== undefined && entry.seq <= seq)
    if (last >= 0) this.receipt(this.#receipted + last + 1)
  }

  /** The entries its senders call so were received; unknown digests are ignored. */
  acknowledge(digest: string): void {
    if (this.#state === 'stopped') return
    for (const [index, entry] of this.#unreceipted.entries()) {
      if (entry?.digest !== digest) continue
      this.#release([entry])
      this.#unreceipted[index] = undefined
    }
    const first = this.#unreceipted.findIndex((entry) => entry !== undefined)
    this.receipt(first === -1 ? this.#sent : this.#receipted + first)
  }

  #release(entries: readonly SentEntry[]): void {
    if (entries.length === 0) return
    for (const { bytes } of entries) this.#bytes -= bytes
    this.route.release(entries)
  }

  #readSoon(): void {
    if (this.#state === 'live') void this.#read()
    else this.#offeredMeanwhile = true
  }

  async #read(): Promise<void> {
    this.#state = 'reading'
    this.#readingSince ??= performance.now()
    this.#offeredMeanwhile = false
    this.#goBack()
    let page: QueueEntry[]
    try {
      page = await this.route.take(this.#sentSeq, PAGE_ENTRIES, this.#window.bytes)
    } catch {
      if (this.#isReading()) this.#retry = setTimeout(() => void this.#read(), RETRY_MS)
      return
    }
    this.#readingSince = undefined
    if (!this.#isReading()) return
    this.#sendPage(page)
    this.#afterPage(page.length === 0)
  }

  /** To the first place that has to be looked at again. */
  #goBack(): void {
    if (this.#freedFrom !== undefined) this.#passedTo = Math.max(this.#passedTo, this.#sentSeq)
    const first = Math.min(this.#recalled ?? Number.POSITIVE_INFINITY, this.#freedFrom ?? Number.POSITIVE_INFINITY)
    this.#sentSeq = Math.min(this.#sentSeq, first - 1)
    this.#recalled = undefined
    this.#freedFrom = undefined
  }

  #wasSent(seq: number): boolean {
    return this.#outstanding.has(seq) || (seq <= this.#passedTo && !this.#freed.has(seq))
  }

  #sendPage(page: readonly QueueEntry[]): void {
    for (const entry of page) {
      if (this.#wasSent(entry.seq)) {
        this.#sentSeq = entry.seq
        continue
      }
      if (!this.#hasRoom()) {
        this.#fallBehind()
        break
      }
      this.#lag = Math.max(0, this.#lag - 1)
      this.#freed.delete(entry.seq)
      this.#send(entry)
    }
    if (page.length > 0) this.#wrote()
    for (const seq of this.#goneMeanwhile.splice(0)) this.#outstanding.delete(seq)
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
    this.#passedTo = 0
    this.#freed.clear()
  }

  #send(entry: QueueEntry): void {
    this.#sentSeq = entry.seq
    if (!this.route.admits(entry)) return
    if (this.#sent === this.#receipted) this.#progressAt = performance.now()
    this.#sent += 1
    this.#bytes += entry.bytes
    const { seq, digest, bytes, slot, acceptedAt } = entry
    this.#unreceipted.push({ seq, digest, bytes, slot, acceptedAt })
    if (entry.digest !== null) this.#outstanding.add(entry.seq)
    this.route.write(this.route.encode(entry, entry.slot || !this.#caughtUpOnce))
  }

  #wrote(): void {
    this.route.wrote(this.#sent, !this.#hasRoom())
  }

  #hasRoom(): boolean {
    const { messages, bytes } = this.#window
    return this.#sent - this.#receipted < messages && this.#bytes < bytes && !this.route.isBehind()
  }

  /** Further entries stay in Postgres until receipts make room, or the socket has drained. */
  #fallBehind(): void {
    this.#state = 'behind'
    this.#catchUp()
  }

  #catchUp(): void {
    if (this.#state !== 'behind') return
    if (this.#hasRoom()) void this.#read()
    else if (this.route.isBehind() && !this.#awaitsDrain) {
      this.#awaitsDrain = true
      this.route.onDrained(() => {
        this.#awaitsDrain = false
        this.#catchUp()
      })
    }
  }

  #isReading(): boolean {
    return this.#state === 'reading'
  }
}
