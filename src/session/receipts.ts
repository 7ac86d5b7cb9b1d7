import { Delivery, type DeliveryRoute, type DeliveryWindow } from '../mailbox/delivery.ts'
import type { Mailbox } from '../mailbox/mailbox.ts'
import type { QueueEntry } from '../store/queue-entry.ts'
import { PingBarrier } from './ping-barrier.ts'
import type { Session } from './session.ts'

/**
 * What shows that the recipient's end took a message. `ack`: the application said so. `pong`: its WebSocket stack
 * answered a ping that was sent behind the message. `none`: the bytes were handed to the system.
 */
export type ReceiptStrength = 'ack' | 'pong' | 'none'

export interface ReceiptSettings {
  /** `auto`: acks where the client offers them, else pongs. The others are for every session. */
  readonly mode: 'auto' | ReceiptStrength
  /** How long what a browser receipted by pong can still be delivered again, in ms. */
  readonly graceMs: number
  readonly window: DeliveryWindow
  /** Counts a delivery by its receipt. */
  delivered(receipt: ReceiptStrength): void
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
  #graced: { readonly entry: QueueEntry; readonly at: number }[] = []
  #written = 0

  constructor(
    session: Session,
    route: Omit<DeliveryRoute, 'write' | 'wrote' | 'release'>,
    mailbox: Mailbox,
    settings: ReceiptSettings,
    features: readonly string[]
  ) {
    this.#session = session
    this.#mailbox = mailbox
    this.#settings = settings
    this.strength = strengthFor(settings.mode, features)
    this.#barrier = new PingBarrier({
      ping: (payload) => session.ping(payload),
      passed: (count) => this.delivery.receipt(count),
      doubled: () => this.#distrust()
    })
    this.delivery = new Delivery(
      {
        ...route,
        write: (frame) => this.#write(frame),
        wrote: (sent, urgent) => {
          if (this.strength === 'pong') this.#barrier.wrote(sent, urgent)
        },
        release: (entry) => this.#received(entry)
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

  /** Lets go of what has had its grace. `now` is performance.now(). */
  tick(now: number): void {
    const young = this.#graced.findIndex(({ at }) => now - at < this.#settings.graceMs)
    this.#letGo(young === -1 ? this.#graced.length : young)
  }

  /** The session is over; after a closing handshake (RFC 6455 §7.1.4) the page has had its chance. */
  end(isClean: boolean): void {
    this.delivery.stop()
    this.#barrier.stop()
    if (isClean) this.#letGo(this.#graced.length)
    this.#graced = []
  }

  #write(frame: string): void {
    const count = ++this.#written
    if (this.strength !== 'none') this.#session.write(frame)
    else this.#session.write(frame, (error) => error ?? this.delivery.receipt(count))
  }

  #received(entry: QueueEntry): void {
    this.#settings.delivered(this.strength)
    if (this.strength === 'pong' && this.#session.isBrowser) {
      this.#graced.push({ entry, at: performance.now() })
      if (this.#graced.length > MAX_GRACED) this.#letGo(1)
    } else this.#mailbox.release(entry)
  }

  #letGo(count: number): void {
    for (const { entry } of this.#graced.splice(0, count)) this.#mailbox.release(entry)
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
