import { DatabaseUnavailable } from '../database/database.ts'
import type { CloseReason } from '../protocol/close-codes.ts'
import type { Session, SessionMember } from '../session/session.ts'
import { encodeTextFrames } from '../session/text-frames.ts'
import { NoPlace, type QueueEntry } from '../store/queue-entry.ts'
import type { Attachments, OpenedMailbox, PeerFacts } from './attachments.ts'
import { Delivery, type DeliveryRoute, type SentEntry } from './delivery.ts'
import { HeldBack, type LostSession } from './held-back.ts'
import type { MailboxCounter } from './mailbox-counter.ts'
import { PingBarrier, type PingBarrierHooks } from './ping-barrier.ts'
import type { Box, HeldPlace } from './places.ts'
import { Grace, type ReceiptStrength, strengthFor } from './receipts.ts'

export interface FrameOptions {
  /** It was accepted before the session had caught up. */
  readonly isBacklog: boolean
  readonly seq: number | undefined
}

/**
 * A registered session: it is sent what is in its peer's mailbox, and its receipts take messages out of it.
 *
 * The order of a registration: `openMailbox`, `join` (the peer is visible to senders), the reply, `start` (the backlog,
 * then live). So no message falls between backlog and live.
 *
 * Several sessions of one peer: a message leaves the mailbox when one session has receipted it and no other owes a
 * receipt. A session that falls too far behind the others is closed; what it owes is kept for its return.
 */
export abstract class Member implements SessionMember, DeliveryRoute, PingBarrierHooks {
  readonly network: string
  readonly peer: string
  /** What the others in its network call it. */
  readonly name: string
  /** The encryption key it registered with; null: the protocol has none. */
  readonly keyId: string | null
  readonly session: Session<Member>
  readonly delivery: Delivery
  readonly counter: MailboxCounter
  /** Its place in the cluster; undefined: the relay is alone. */
  readonly place: HeldPlace | undefined
  listedAt = 0
  hasPart = false
  #strength: ReceiptStrength
  readonly #with: Attachments<Member>
  /** Made with the first message: most sessions are sent none for a long time. */
  #barrier: PingBarrier | undefined
  readonly #grace: Grace | undefined
  readonly #isEmpty: boolean
  #heldBack: HeldBack | undefined
  #written = 0
  #hasEnded = false

  constructor(session: Session<Member>, mailbox: OpenedMailbox, facts: PeerFacts, attachments: Attachments<Member>) {
    this.network = mailbox.network
    this.peer = mailbox.recipient
    this.name = facts.name
    this.keyId = facts.keyId
    this.session = session
    this.counter = mailbox.counter
    this.place = mailbox.place
    this.#isEmpty = mailbox.isEmpty
    this.#with = attachments
    this.#strength = strengthFor(attachments.mode, facts.features)
    this.#grace = session.isBrowser ? new Grace(attachments.graceMs) : undefined
    this.delivery = new Delivery(this, attachments.window)
  }

  // What a protocol says of its frames.

  /** The frame that carries an entry; `seq`: what to acknowledge it by, for clients that offered to. */
  abstract encode(entry: QueueEntry, options: FrameOptions): string

  abstract announcement(change: 'joined' | 'left'): string | undefined

  /** Can the peer open this entry? What it cannot stays in the mailbox. */
  protected canOpen(_entry: QueueEntry): boolean {
    return true
  }

  /** Looks up what has to be known before a page can be encoded. */
  protected prepare(_page: readonly QueueEntry[]): Promise<void> | undefined {
    return undefined
  }

  /** What counts as a receipt of this session. */
  get strength(): ReceiptStrength {
    return this.#strength
  }

  /** How long the peer's end took to answer the last ping behind messages, in ms; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#barrier?.roundTripMs
  }

  get waitingSince(): number | undefined {
    return this.delivery.waitingSince
  }

  /** The socket speaks for the peer, and senders see it. */
  join(): void {
    this.session.register(this)
    this.#with.registry.add(this)
    this.#with.places?.joined(this)
    for (const other of this.#others()) other.#heldBack?.returned()
  }

  /** Sends the backlog, then what is committed. */
  start(): void {
    if (!this.#hasEnded) this.delivery.start(this.#isEmpty && this.counter.entries === 0)
  }

  /** Closes the session for a reason of ours: it is sent nothing more, and its peer is away at once if it was the last. */
  dismiss(reason: CloseReason): void {
    this.ended(false)
    this.session.close(reason)
  }

  // What happens to the socket.

  pong(data: Buffer): void {
    this.#barrier?.pong(data)
  }

  drained(): void {
    this.delivery.drained()
  }

  /** Releases what has had its grace, and what was kept long enough for the return of another session. */
  tick(now: number): void {
    if (this.#grace !== undefined) this.#releaseUnlessOwed(this.#grace.over(now))
    if (this.#heldBack?.giveUp(now)) this.#releaseHeldBack()
  }

  ended(isClean: boolean): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const { registry, counters } = this.#with
    this.#barrier?.stop()
    const graced = this.#grace?.all() ?? []
    if (isClean) this.#releaseUnlessOwed(graced)
    const { cursor, lastSeq } = this.delivery
    const unreceipted = [...this.delivery.stop(), ...(isClean ? [] : graced)].map(({ seq }) => seq)
    const isLast = registry.remove(this) === 0
    const lost = isClean ? undefined : { unreceipted: new Set(unreceipted), cursor, lastSeq }
    for (const other of this.#others()) other.#otherEnded(lost)
    const mayOwe = !isClean && lastSeq > 0 && this.keyId === null // a peer with a key id has one place, and owes it nothing
    this.#noteEnded(unreceipted, isLast, mayOwe ? lastSeq : undefined)
    counters.close(this.network, this.peer, this.counter)
  }

  #noteEnded(unreceipted: readonly number[], isLast: boolean, lostSeq: number | undefined): void {
    const { releases, places } = this.#with
    const { network, peer: recipient } = this
    if (places !== undefined) {
      const left = places.leave({ network, recipient }, lostSeq)
      releases.endedAfter(left.then((isAway) => ({ network, recipient, unreceipted, isLast: isAway })))
    } else if (unreceipted.length > 0 || (isLast && this.counter.entries > this.counter.releasing)) {
      releases.ended({ network, recipient, unreceipted, isLast })
    }
  }

  // What the delivery sends by, and reports to.

  settledTo(): number {
    return this.#with.places?.settledTo() ?? Number.POSITIVE_INFINITY
  }

  read(afterSeq: number, limit: number, maxBytes: number, known: readonly number[]): Promise<QueueEntry[]> {
    const { readPage, releases, log } = this.#with
    const box: Box = { network: this.network, recipient: this.peer, keyId: this.keyId }
    return releases.reading(async () => {
      try {
        const page = await readPage(box, { afterSeq, limit, maxBytes, known, place: this.place })
        await this.prepare(page)
        return page
      } catch (error) {
        if (error instanceof NoPlace) this.#with.places?.doubt(this)
        else if (!(error instanceof DatabaseUnavailable))
          log.error({ err: error, network: this.network }, 'mailbox not read')
        throw error
      }
    })
  }

  isReleasing(seq: number): boolean {
    return this.#with.releases.isReleasing(seq)
  }

  isFull(): boolean {
    return this.session.writer.isFull
  }

  clock(): number {
    return this.#with.clock()
  }

  /** An entry that cannot be encoded is a defect of ours, or of what is stored: it is withheld, and the others go on. */
  send(entry: QueueEntry, isBacklog: boolean): boolean {
    const { network, seq } = entry
    let isSent = false
    try {
      isSent = this.canOpen(entry)
      if (isSent) this.#write(entry, isBacklog)
    } catch (error) {
      isSent = false
      this.#with.log.error({ err: error, network, seq }, 'an entry cannot be sent and is withheld')
    }
    if (!isSent) {
      this.#with.withhold(seq)
      return false
    }
    if (this.#with.releases.wasReturned(entry.seq)) this.#with.counts.redelivered.inc()
    return true
  }

  wrote(sent: number, isUrgent: boolean): void {
    if (this.#strength !== 'pong') return
    this.#barrier ??= new PingBarrier(this)
    const barrier = this.#barrier
    if (this.session.putsRepliesFirst) this.session.whenQuiet(() => barrier.wrote(sent, isUrgent))
    else barrier.wrote(sent, isUrgent)
  }

  received(entries: readonly SentEntry[]): void {
    this.#count(entries)
    if (this.#strength !== 'pong' || this.#grace === undefined) this.#releaseUnlessOwed(entries)
    else this.#releaseUnlessOwed(this.#grace.add(entries, this.clock()))
  }

  /** The entry at this place has left the mailbox, by whatever way. */
  gone(seq: number): void {
    this.#heldBack?.delete(seq)
    this.delivery.gone(seq)
  }

  // What the ping barrier does, and learns.

  ping(payload: Buffer): void {
    this.session.ping(payload)
  }

  passed(count: number, ms: number): void {
    this.#with.counts.roundTripSeconds.observe(ms / 1_000)
    this.session.measured(ms)
    this.delivery.receipt(count)
  }

  /** Pongs mean nothing here: from now on what is written counts as received, and what was written already. */
  doubled(): void {
    if (this.#strength !== 'pong') return
    this.#strength = 'none'
    this.#barrier?.stop()
    const { counts, log } = this.#with
    counts.proxyPongs.inc()
    const message = 'a proxy answers pings for a peer: its messages count as received when they are written'
    log.warn({ protocol: this.session.protocol.name }, message)
    this.delivery.receipt(this.delivery.sent)
  }

  #write(entry: QueueEntry, isBacklog: boolean): void {
    const options = { isBacklog, seq: this.#strength === 'ack' ? entry.seq : undefined }
    const isShared = this.counter.sessions > 1
    const frame = isShared ? sharedFrame(this, entry, options) : this.encode(entry, options)
    const count = ++this.#written
    if (this.#strength !== 'none') this.session.push(frame)
    else this.session.push(frame, (error) => error ?? this.delivery.receipt(count))
  }

  #count(entries: readonly SentEntry[]): void {
    const { counts, now } = this.#with
    counts.delivered[this.#strength].inc(entries.length)
    const at = now()
    for (const { slot, acceptedAt } of entries) {
      if (!slot) counts.deliverySeconds.observe(Math.max(0, at - acceptedAt) / 1_000)
    }
  }

  /** Takes these out of the mailbox, but for those that another session of the peer owes a receipt of. */
  #releaseUnlessOwed(entries: readonly SentEntry[]): void {
    const others = this.#others()
    for (const entry of entries) {
      const isOwed = others.length > 0 && others.some(({ delivery }) => delivery.owes(entry.seq))
      if (!isOwed && !this.#heldBack?.isKept(entry.seq)) this.#release(entry)
      else {
        this.#heldBack ??= new HeldBack()
        this.#heldBack.add(entry)
      }
    }
    if (this.#heldBack?.isTooMuch) this.#closeSlowest(this.#heldBack, others)
  }

  #closeSlowest(heldBack: HeldBack, others: readonly Member[]): void {
    const [oldest] = heldBack.entries
    for (const other of others) if (other.delivery.owes(oldest!.seq)) other.dismiss('unresponsive')
    if (!heldBack.isTooMuch) return
    heldBack.returned() // it is kept for a session that does not come back
    this.#releaseHeldBack()
  }

  #others(): readonly Member[] {
    if (this.counter.sessions <= 1) return NONE
    return this.#with.registry.sessions(this.network, this.peer).filter((member) => member !== this)
  }

  /** Another session of the peer has ended; `lost`: without a closing handshake, so that it may come back. */
  #otherEnded(lost: LostSession | undefined): void {
    if (lost !== undefined) {
      this.#heldBack ??= new HeldBack()
      this.#heldBack.lost(lost, this.clock())
    }
    this.#releaseHeldBack()
  }

  /** Releases what is held back and no session owes a receipt for any more. */
  #releaseHeldBack(): void {
    if (this.#heldBack !== undefined) this.#releaseUnlessOwed(this.#heldBack.entries)
  }

  #release(entry: SentEntry): void {
    this.#heldBack?.delete(entry.seq)
    this.counter.releasing += 1
    const { places, releases } = this.#with
    if (places !== undefined && entry.isShared) places.release(entry, this.#settled)
    else releases.release(entry, this.#settled)
  }

  readonly #settled = ({ seq, bytes }: SentEntry, hasLeft: boolean): void => {
    const { counters, registry, left } = this.#with
    counters.released(this.network, this.peer, this.counter, hasLeft ? bytes : undefined)
    if (!hasLeft) return
    left(this.network, bytes)
    this.delivery.gone(seq)
    for (const member of registry.sessions(this.network, this.peer)) if (member !== this) member.gone(seq)
  }
}

const NONE: readonly Member[] = []

/** The last entry that was encoded for several sessions: they share its bytes. */
let shared: { readonly entry: QueueEntry; readonly variant: string; readonly frame: Buffer } | undefined

function sharedFrame(member: Member, entry: QueueEntry, options: FrameOptions): Buffer {
  const variant = `${options.isBacklog} ${options.seq}`
  if (shared?.entry !== entry || shared.variant !== variant) {
    shared = { entry, variant, frame: encodeTextFrames([member.encode(entry, options)]) }
  }
  return shared.frame
}
