/** A socket whose own budget is used up for so long is told so, and for so long is closed, in ms. */
const TELL_AFTER_MS = 5_000
const CLOSE_AFTER_MS = 30_000
/** Used up again within this time: it has not slowed down. */
const STILL_MS = 3_000

/** How long a socket has been using up its own budget, again and again, and what is due for it. */
export class Overuse {
  #since = 0
  #lastAt = Number.NEGATIVE_INFINITY
  #isTold = false

  /** The budget is used up once more. `now`: of a clock in ms. `tell` comes once. */
  again(now: number): 'tell' | 'close' | undefined {
    if (now - this.#lastAt > STILL_MS) {
      this.#since = now
      this.#isTold = false
    }
    this.#lastAt = now
    const lastedMs = now - this.#since
    if (lastedMs > CLOSE_AFTER_MS) return 'close'
    if (lastedMs <= TELL_AFTER_MS || this.#isTold) return undefined
    this.#isTold = true
    return 'tell'
  }
}
