import { strict as assert } from 'node:assert'
import type { QueueEntry } from '../store/queue-entry.ts'
import { BusyMap } from '../util/busy-map.ts'

/** What is kept of an entry that was sent, until it has left the mailbox: not its body. */
export interface SentEntry extends Pick<QueueEntry, 'seq' | 'digest' | 'bytes' | 'slot' | 'acceptedAt' | 'isShared'> {
  /** A session that was sent it has said that it has it. */
  isReceipted: boolean
  /** Has it failed before, so that it is sent alone? */
  readonly isSuspect: boolean
}

/** What one session is sent from one mailbox, and how. */
export interface DeliveryRoute {
  /** Reads stored entries after a place, oldest first: a page without those in `known`. Only what this peer's key can open. */
  read(afterSeq: number, limit: number, maxBytes: number, known: readonly number[]): Promise<QueueEntry[]>
  /** What is not committed at a place up to this one never will be. Infinite: one relay commits the places in their order. */
  settledTo(): number
  /** Is this entry on its way out of the mailbox, received by this session or an earlier one? */
  isReleasing(seq: number): boolean
  /** Writes an entry; `isBacklog`: it was accepted before the session had caught up. False: it cannot be sent, and stays. */
  send(entry: QueueEntry, isBacklog: boolean): boolean
  /** `sent` entries were written in all; `isUrgent`: no more fits before a receipt. Receipts come back through receipt(). */
  wrote(sent: number, isUrgent: boolean): void
  /** Does the socket hold more outgoing bytes than it should? Then nothing is written until drained() is called. */
  isFull(): boolean
  /** These entries were received. Once one has left the mailbox, gone() is called. */
  received(entries: readonly SentEntry[]): void
  /** Milliseconds, of a clock that stands still while the process does. */
  clock(): number
}

/** How much a session is sent before the first of it is receipted; past it, entries stay in Postgres until it catches up. */
export interface DeliveryWindow {
  readonly messages: number
  readonly bytes: number
}

type State = 'idle' | 'reading' | 'retrying' | 'live' | 'behind' | 'stopped'

/** Which states follow a state, see `Delivery`. */
const FOLLOWS: Readonly<Record<State, readonly State[]>> = {
  idle: ['reading', 'live', 'stopped'],
  reading: ['reading', 'retrying', 'live', 'behind', 'stopped'],
  retrying: ['reading', 'stopped'],
  live: ['reading', 'behind', 'stopped'],
  behind: ['reading', 'stopped'],
  stopped: ['stopped']
}

const PAGE_ENTRIES = 128
/** Pause before a page that could not be read is tried again, in ms. */
const RETRY_MS = 500
/** Receipted entries that may wait for their deletion: past it nothing more is sent until some are gone. */
const MOST_RELEASING = 8_192
/** An entry that so many sessions did not receipt is sent alone: what is behind it must not count as failed with it. */
const SUSPECT_DELIVERIES = 2

/**
 * Sends one mailbox to one session, in order.
 *
 *     idle ──start()──► reading ──an empty page: nothing is left──► live
 *       │               │  ▲ ▲                                      │ │
 *       │      page     │  │ └───────────────reread()──────────────┘ │ no room for a committed entry
 *       │      fails    ▼  │ room again                             ▼
 *       │          retrying └──────────────────────────────────── behind ◄── no room for the page (from reading)
 *       └──start(nothing is stored)──► live            any state ──stop()──► stopped
 *
 * A mailbox is a set: all that is in it and not outstanding here is to be sent. The cursor is a shortcut: everything up to
 * it was sent or cannot be. A committed entry that is offered while the state is not `live` is not lost: it is in the
 * mailbox, and a page is read after it was committed.
 *
 * Several relays commit their entries in any order, so one may appear behind the cursor, and what its sender sent after it
 * in front of it. A page therefore begins where nothing can appear any more, and leaves out what was sent.
 */
export class Delivery {
  readonly #route: DeliveryRoute
  readonly #window: DeliveryWindow
  #state: State = 'idle'
  #cursor = 0
  #lastOffered = 0
  /** Something was committed, or has to be read again, since the page under way was asked for. */
  #isStale = false
  /** Everything up to here was there when it was read. */
  #complete = 0
  /** Entries that were read and are not for this session to send, as far as a page could have them again. */
  #passedOver: number[] = []
  /** The first place to read again, if there is one. */
  #rereadFrom: number | undefined
  /** Where the cursor stood before places were read again: what comes late from up to there was sent already. */
  #passed = 0
  /** The next entry is sent alone, so it waits until the window is empty. */
  #waitsForEmptyWindow = false
  #hasCaughtUp = false
  /** Sent, and perhaps still in the mailbox: pages leave it out. */
  readonly #outstanding = new BusyMap<number, SentEntry>()
  /** Sent and not yet receipted, oldest first: the window. An entry acknowledged out of order, or purged, leaves a gap. */
  readonly #unreceipted: (SentEntry | undefined)[] = []
  #sent = 0
  #receipted = 0
  #windowBytes = 0
  /** When the window last moved, or the page that is asked for was asked for first. */
  #progressAt = 0
  #readingSince: number | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(route: DeliveryRoute, window: DeliveryWindow) {
    this.#route = route
    this.#window = window
  }

  /** Everything up to this place was sent, or cannot be. */
  get cursor(): number {
    return this.#cursor
  }

  /** Place of the last entry that was offered or read. */
  get lastSeq(): number {
    return Math.max(this.#lastOffered, this.#cursor)
  }

  /** Entries sent to the session in all. */
  get sent(): number {
    return this.#sent
  }

  /** What the session was sent and has not receipted. */
  get unreceipted(): { messages: number; bytes: number } {
    return { messages: this.#sent - this.#receipted, bytes: this.#windowBytes }
  }

  /** When the window last moved while there was something in it, by the route's clock, or undefined when it is empty. */
  get waitingSince(): number | undefined {
    return this.#sent > this.#receipted ? this.#progressAt : undefined
  }

  /** Since when nothing has moved, though entries are on their way or are being read, or undefined. */
  get stalledSince(): number | undefined {
    return this.waitingSince ?? this.#readingSince
  }

  /**
   * Begins with the stored entries. The peer must be visible to senders before this, so that none falls in between.
   * `isEmpty`: there were none after it was.
   */
  start(isEmpty = false): void {
    if (this.#state !== 'idle') return
    if (isEmpty && !this.#isStale) {
      this.#complete = this.#route.settledTo()
      this.#becomeLive()
    } else void this.#read()
  }

  /** Sends nothing more. Returns what is not receipted: it stays in the mailbox, whatever this session says later. */
  stop(): SentEntry[] {
    this.#become('stopped')
    clearTimeout(this.#retry)
    return this.#unreceipted.splice(0).filter((entry) => entry !== undefined)
  }

  /**
   * Takes note of a committed entry: sent at once at the head, else read from the mailbox in its order. One before the
   * cursor was sent already, or comes from another relay than those after it: the mailbox says which.
   */
  offer(entry: QueueEntry): void {
    this.#lastOffered = Math.max(this.#lastOffered, entry.seq)
    if (entry.seq <= this.#cursor) this.reread(entry.seq)
    else if (this.#state !== 'live') this.#isStale = true
    else if (this.#hasRoom()) {
      this.#send(entry)
      this.#route.wrote(this.#sent, !this.#hasRoom())
    } else this.#become('behind')
  }

  /** Rereads the whole mailbox: something in it may have been missed. */
  rereadAll(): void {
    this.#readAgain(0)
  }

  /**
   * Rereads these places, ascending, and what is behind the first of them: an entry there was committed after
   * later ones, or can be sent only now. What is outstanding is not sent again.
   */
  reread(...places: readonly number[]): void {
    if (this.#passedOver.length > 0) {
      const again = new Set(places)
      this.#passedOver = this.#passedOver.filter((seq) => !again.has(seq))
    }
    const first = places.find((seq) => !this.#outstanding.has(seq))
    if (first !== undefined) this.#readAgain(first)
  }

  #readAgain(first: number): void {
    this.#rereadFrom = Math.min(first, this.#rereadFrom ?? first)
    if (this.#state === 'live') void this.#read()
    else this.#isStale = true
  }

  /** Is this session still to receipt the entry at this place: sent and not receipted, or not sent yet? */
  owes(seq: number): boolean {
    if (this.#state === 'stopped') return false
    const sent = this.#outstanding.get(seq)
    if (sent !== undefined) return !sent.isReceipted
    return seq > this.#cursor || (this.#rereadFrom !== undefined && seq >= this.#rereadFrom)
  }

  /** The entry at this place has left the mailbox. */
  gone(seq: number): void {
    const entry = this.#outstanding.get(seq)
    if (entry === undefined) return
    this.#outstanding.delete(seq)
    if (!entry.isReceipted) this.#leaveWindow(entry)
    this.#catchUp()
  }

  /** The first `count` entries sent were received. Those behind them that need no receipt are out of the window, too. */
  receipt(count: number): void {
    if (this.#state === 'stopped' || count > this.#sent) return
    this.#receive(this.#unreceipted.splice(0, count - this.#receipted))
    const first = this.#unreceipted.findIndex((entry) => entry !== undefined)
    const gaps = this.#unreceipted.splice(0, first === -1 ? this.#sent : first).length
    this.#receipted = Math.max(count, this.#receipted) + gaps
    this.#progressAt = this.#route.clock()
    if (this.#sent - this.#receipted <= this.#window.messages / 2) this.#catchUp()
  }

  /**
   * The entry at this place and all sent before it were received. What was read again was sent after entries of later
   * places; only a place that is not in the window stands for the last one up to it.
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
      this.#unreceipted[index] = undefined
      this.#receive([entry])
    }
    this.receipt(this.#receipted)
  }

  /** The socket has room again. */
  drained(): void {
    this.#catchUp()
  }

  #become(state: State): void {
    assert.ok(FOLLOWS[this.#state].includes(state), `a delivery that is ${this.#state} cannot become ${state}`)
    this.#state = state
  }

  #becomeLive(): void {
    this.#become('live')
    this.#cursor = Math.max(this.#cursor, this.#passed)
    this.#hasCaughtUp = true
  }

  #receive(entries: readonly (SentEntry | undefined)[]): void {
    const received: SentEntry[] = []
    for (const entry of entries) {
      if (entry === undefined) continue
      this.#windowBytes -= entry.bytes
      if (!this.#outstanding.has(entry.seq)) continue // it left the mailbox meanwhile: it expired or was purged
      entry.isReceipted = true
      received.push(entry)
    }
    if (received.length > 0) this.#route.received(received)
  }

  async #read(): Promise<void> {
    this.#become('reading')
    this.#readingSince ??= this.#route.clock()
    this.#isStale = false
    this.#passed = Math.max(this.#passed, this.#cursor)
    const first = Math.min(this.#complete, (this.#rereadFrom ?? Number.POSITIVE_INFINITY) - 1)
    this.#cursor = Math.min(this.#cursor, first)
    this.#rereadFrom = undefined
    const settledTo = this.#route.settledTo()
    let page: QueueEntry[]
    try {
      page = await this.#route.read(this.#cursor, PAGE_ENTRIES, this.#window.bytes, this.#known())
    } catch {
      if (this.#isReading()) this.#retryLater()
      return
    }
    this.#readingSince = undefined
    if (!this.#isReading()) return
    this.#sendPage(page)
    this.#complete = page.length === 0 ? settledTo : Math.min(this.#cursor, settledTo)
    // A page may be short of its limit by bytes; only an empty one says that there is no more.
    if (!this.#isReading()) this.#catchUp()
    else if (page.length > 0 || this.#isStale) void this.#read()
    else this.#becomeLive()
  }

  /** What was sent or passed over behind the cursor, where it has been before. */
  #known(): readonly number[] {
    if (this.#cursor >= this.#passed) return NONE
    this.#passedOver = this.#passedOver.filter((seq) => seq > this.#cursor)
    return [...this.#passedOver, ...[...this.#outstanding.keys()].filter((seq) => seq > this.#cursor)]
  }

  #retryLater(): void {
    this.#become('retrying')
    this.#retry = setTimeout(() => void this.#read(), RETRY_MS)
  }

  #sendPage(page: readonly QueueEntry[]): void {
    for (const entry of page) {
      if (this.#route.isReleasing(entry.seq)) this.#passOver(entry)
      else if (this.#hasRoomFor(entry)) this.#send(entry)
      else {
        this.#become('behind')
        break
      }
    }
    if (page.length > 0) this.#route.wrote(this.#sent, !this.#hasRoom())
  }

  #passOver({ seq }: QueueEntry): void {
    this.#cursor = seq
    if (seq > this.#complete) this.#passedOver.push(seq)
  }

  #send(entry: QueueEntry): void {
    if (!this.#route.send(entry, entry.slot || !this.#hasCaughtUp)) {
      this.#passOver(entry)
      return
    }
    this.#cursor = entry.seq
    if (this.#sent === this.#receipted) this.#progressAt = this.#route.clock()
    this.#sent += 1
    this.#windowBytes += entry.bytes
    const { seq, digest, bytes, slot, acceptedAt, isShared } = entry
    const isSuspect = entry.deliveries >= SUSPECT_DELIVERIES
    const sent: SentEntry = { seq, digest, bytes, slot, acceptedAt, isShared, isReceipted: false, isSuspect }
    this.#unreceipted.push(sent)
    this.#outstanding.set(seq, sent)
  }

  /** An entry that was purged or expired needs no receipt: what is behind it does not wait for one. */
  #leaveWindow(entry: SentEntry): void {
    const at = this.#unreceipted.indexOf(entry)
    if (at === -1) return
    this.#unreceipted[at] = undefined
    this.#windowBytes -= entry.bytes
    if (at === 0) this.receipt(this.#receipted)
  }

  #hasRoomFor(entry: QueueEntry): boolean {
    this.#waitsForEmptyWindow ||= entry.deliveries >= SUSPECT_DELIVERIES
    return this.#hasRoom()
  }

  #hasRoom(): boolean {
    const { messages, bytes } = this.#window
    const inWindow = this.#sent - this.#receipted
    if (inWindow >= messages || this.#windowBytes >= bytes || this.#route.isFull()) return false
    if (inWindow === 0) this.#waitsForEmptyWindow = false
    else if (this.#waitsForEmptyWindow || this.#unreceipted[0]?.isSuspect) return false
    return this.#outstanding.size - inWindow < Math.max(MOST_RELEASING, messages)
  }

  /** Reads on once there is room: receipts came, entries have left the mailbox, or the socket has drained. */
  #catchUp(): void {
    if (this.#state === 'behind' && this.#hasRoom()) void this.#read()
  }

  #isReading(): boolean {
    return this.#state === 'reading'
  }
}

const NONE: readonly number[] = []
