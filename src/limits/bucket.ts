/**
 * A budget that fills at a steady rate up to `capacity`. Work may take more than there is: then it is overdrawn, and whoever
 * paid waits until it is not. With a rate of 0 it has no limit. Times are of a monotonic clock, in ms.
 */
export class Bucket {
  readonly #perMs: number
  readonly #capacity: number
  #level: number
  #at: number

  constructor(perSecond: number, capacity: number, now: number, level = capacity) {
    this.#perMs = perSecond / 1_000
    this.#capacity = capacity
    this.#level = level
    this.#at = now
  }

  spend(cost: number, now: number): void {
    if (this.#perMs === 0) return
    this.#fill(now)
    this.#level -= cost
  }

  /** Is there anything left? */
  has(now: number): boolean {
    return this.waitMs(now) === 0
  }

  /** Is at least half of it there? */
  isHalfFull(now: number): boolean {
    this.#fill(now)
    return this.#level >= this.#capacity / 2
  }

  /** How long until it is not overdrawn, in ms. */
  waitMs(now: number): number {
    if (this.#perMs === 0) return 0
    this.#fill(now)
    return this.#level > 0 ? 0 : (1 - this.#level) / this.#perMs
  }

  #fill(now: number): void {
    if (now <= this.#at) return
    this.#level = Math.min(this.#capacity, this.#level + (now - this.#at) * this.#perMs)
    this.#at = now
  }
}
