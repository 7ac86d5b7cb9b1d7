import type { Count, Distribution } from '../observability/metrics/family.ts'
import type { Session } from '../session/session.ts'
import { Delivery, type DeliveryRoute, type DeliveryWindow, type SentEntry } from './delivery.ts'
import type { Mailbox } from './mailbox.ts'
import { PingBarrier } from './ping-barrier.ts'

/**
 * What shows that the recipient's end took a message. `ack`: the application said so. `pong`: its WebSocket stack
 * answered a ping that was sent behind the message. `none`: the bytes were handed to the system.
 */
export type ReceiptStrength = 'ack' | 'pong' | 'none'

export interface ReceiptCounts {
  readonly delivered: Readonly<Record<ReceiptStrength, Count>>
  /** Entries sent again. */
  readonly redelivered: Count
  /** From acceptance to receipt, where the recipient was here. */
  readonly deliverySeconds: Distribution
  /** From a ping behind messages to its pong. */
  readonly roundTripSeconds: Distribution
}

export interface ReceiptSettings {
  /** `auto`: acks where the client offers them, else pongs. The others are for every session. */
  readonly mode: 'auto' | ReceiptStrength
  /** How long what a browser receipted by pong can still be delivered again, in ms. */
  readonly graceMs: number
  readonly window: DeliveryWindow
  readonly counts: ReceiptCounts
  /** A session's pongs were found to come from somebody in between. */
  proxyFound(session: Session): void
}

/** The feature by which a client says, in `register`, that it will acknowledge. */
export const ACK_FEATURE = 'ack'

/** Most receipted entries a browser's session keeps for the grace; the oldest leave their mailbox early. */
const MAX_GRACED = 4_096

/** The receipts of one session: which strength they have, and what becomes of a message when they come. */
export class Receipts {
  readonly delivery: Delivery
  strength: ReceiptStrength
  readonly #session: Session
  readonly #mailbox: Mailbox
  readonly #settings: ReceiptSettings
  readonly #barrier: PingBarrier
  /** Receipted by a browser's network process, which answers before the page has run: delivered again if it dies now. */
  #graced: { readonly entry: SentEntry; readonly at: number }[] = []
  #written = 0
  readonly #gone = ({ seq }: SentEntry) => this.delivery.gone(seq)

  constructor(
    session: Session,
    route: Omit<DeliveryRoute, 'write' | 'wrote' | 'isBehind' | 'onDrained' | 'release'>,
    mailbox: Mailbox,
    settings: ReceiptSettings,
    features: readonly string[]
  ) {
    this.#session = session
    this.#mailbox = mailbox
    this.#settings = settings
    this.strength = strengthFor(settings.mode, features)
    this.#barrier = new PingBarrier({
      ping: (payload) => session.outlet.ping(payload),
      passed: (count, ms) => {
        settings.counts.roundTripSeconds.observe(ms / 1_000)
        this.delivery.receipt(count)
      },
      doubled: () => this.#distrust()
    })
    this.delivery = new Delivery(
      {
        ...route,
        admits: (entry) => !mailbox.leaving.has(entry.seq) && route.admits(entry),
        encode: (entry, backlog) => {
          if (mailbox.returned.take(entry.seq)) settings.counts.redelivered.inc()
          return route.encode(entry, backlog)
        },
        write: (frame) => this.#write(frame),
        wrote: (sent, urgent) => {
          if (this.strength === 'pong') this.#barrier.wrote(sent, urgent)
        },
        isBehind: () => session.outlet.isBehind,
        onDrained: (listener) => session.outlet.onDrained(listener),
        release: (entries) => this.#received(entries)
      },
      settings.window
    )
  }

  pong(data: Buffer): void {
    this.#barrier.pong(data)
  }

  /** When a ping was sent that is not answered yet (performance.now()), or undefined. */
  get pingedAt(): number | undefined {
    return this.#barrier.pingedAt
  }

  /** How long the peer's end took to answer the last ping behind messages, in ms; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#barrier.roundTripMs
  }

  /** Lets go of what has had its grace. `now` is performance.now(). */
  tick(now: number): void {
    const young = this.#graced.findIndex(({ at }) => now - at < this.#settings.graceMs)
    this.#letGo(young === -1 ? this.#graced.length : young)
  }

  /** The session is over; after a closing handshake (RFC 6455 §7.1.4) the page has had its chance. */
  end(isClean: boolean): void {
    const { returned } = this.#mailbox
    for (const { seq } of this.delivery.stop()) returned.note(seq)
    this.#barrier.stop()
    if (isClean) this.#letGo(this.#graced.length)
    for (const { entry } of this.#graced) returned.note(entry.seq)
    this.#graced = []
  }

  #write(frame: string): void {
    const count = ++this.#written
    if (this.strength !== 'none') this.#session.outlet.write(frame)
    else this.#session.outlet.write(frame, (error) => error ?? this.delivery.receipt(count))
  }

  #received(entries: readonly SentEntry[]): void {
    this.#count(entries)
    if (this.strength === 'pong' && this.#session.isBrowser) {
      const at = performance.now()
      for (const entry of entries) this.#graced.push({ entry, at })
      this.#letGo(Math.max(0, this.#graced.length - MAX_GRACED))
    } else for (const entry of entries) this.#release(entry)
  }

  #count(entries: readonly SentEntry[]): void {
    const { delivered, deliverySeconds } = this.#settings.counts
    delivered[this.strength].inc(entries.length)
    const now = this.#mailbox.now()
    for (const { slot, acceptedAt } of entries) {
      if (!slot) deliverySeconds.observe(Math.max(0, now - acceptedAt) / 1_000)
    }
  }

  #letGo(count: number): void {
    for (const { entry } of this.#graced.splice(0, count)) this.#release(entry)
  }

  #release(entry: SentEntry): void {
    this.#mailbox.release(entry, this.#gone)
  }

  /** Pongs mean nothing here: from now on what is written counts as received, and what was written already. */
  #distrust(): void {
    if (this.strength !== 'pong') return
    this.strength = 'none'
    this.#barrier.stop()
    this.#settings.proxyFound(this.#session)
    this.delivery.receipt(this.delivery.sent)
  }
}

function strengthFor(mode: ReceiptSettings['mode'], features: readonly string[]): ReceiptStrength {
  if (mode !== 'auto') return mode
  return features.includes(ACK_FEATURE) ? 'ack' : 'pong'
}
