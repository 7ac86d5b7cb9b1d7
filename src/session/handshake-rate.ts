/** What one core takes at least, a second. */
const LEAST_RATE = 500
/** Those that were refused come back faster than others went on: who is early waits a moment, and a relay must not idle. */
const AHEAD = 2
/** Longest time until an appointment, in ms. */
const LONGEST_MS = 60_000

/**
 * How fast handshakes go on while some of them wait, and when those that were refused can come back: each gets a later
 * appointment than the one before it, so that they come at the rate at which they can be taken.
 */
export class HandshakeRate {
  readonly #now: () => number
  /** Since when some wait, and how many went on since. */
  #since: number | undefined
  #admitted = 0
  #bookedUntil = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** One that waited goes on. */
  admitted(): void {
    this.#since ??= this.#now()
    this.#admitted += 1
  }

  /** Nobody waits any more. */
  rest(): void {
    this.#since = undefined
    this.#admitted = 0
  }

  /** For one that is refused: seconds until it may come back, 1 or more. */
  appointment(): number {
    const now = this.#now()
    const measured = this.#since === undefined ? 0 : (this.#admitted * 1_000) / Math.max(1, now - this.#since)
    const everyMs = 1_000 / Math.max(LEAST_RATE, AHEAD * measured)
    this.#bookedUntil = Math.min(Math.max(this.#bookedUntil, now) + everyMs, now + LONGEST_MS)
    return Math.max(1, Math.ceil((this.#bookedUntil - now) / 1_000))
  }
}
