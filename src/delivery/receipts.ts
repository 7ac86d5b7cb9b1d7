import type { SentEntry } from './delivery.ts'

/**
 * What shows that the recipient's end took a message. `ack`: the application said so. `pong`: its WebSocket stack
 * answered a ping that was sent behind the message. `none`: the bytes were handed to the system.
 */
export type ReceiptStrength = 'ack' | 'pong' | 'none'

/** `auto`: acks where the client offers them, else pongs. The others are for every session. */
export type ReceiptMode = 'auto' | ReceiptStrength

/** The feature by which a client says, in `register`, that it will acknowledge. */
const ACK_FEATURE = 'ack'

export function strengthFor(mode: ReceiptMode, features: readonly string[]): ReceiptStrength {
  if (mode !== 'auto') return mode
  return features.includes(ACK_FEATURE) ? 'ack' : 'pong'
}

/** Most receipted entries a browser's session keeps for the grace; the oldest leave their mailbox early. */
const MAX_GRACED = 4_096

/**
 * What a browser's session receipted by pong a moment ago. A browser answers pings before the page has run, so these
 * entries stay in their mailbox for the grace, and are delivered again if the socket dies without a close frame.
 */
export class Grace {
  readonly #graceMs: number
  #entries: { readonly entry: SentEntry; readonly at: number }[] = []

  constructor(graceMs: number) {
    this.#graceMs = graceMs
  }

  /** Keeps entries; returns the oldest of what is too much. `now`: ms of a clock that stands still while the process does. */
  add(entries: readonly SentEntry[], now: number): SentEntry[] {
    for (const entry of entries) this.#entries.push({ entry, at: now })
    return this.#take(Math.max(0, this.#entries.length - MAX_GRACED))
  }

  /** Returns what has been kept long enough. */
  over(now: number): SentEntry[] {
    const young = this.#entries.findIndex(({ at }) => now - at < this.#graceMs)
    return this.#take(young === -1 ? this.#entries.length : young)
  }

  /** Returns everything. */
  all(): SentEntry[] {
    return this.#take(this.#entries.length)
  }

  #take(count: number): SentEntry[] {
    return count === 0 ? [] : this.#entries.splice(0, count).map(({ entry }) => entry)
  }
}
