/** A difference between the wall clock and the monotonic one that grew by more than this at once is a jump, in ms. */
const JUMP_MS = 300_000
/** After a jump the wall clock is believed again when it has gone on evenly for so long, in ms. */
const BELIEVED_AFTER_MS = 3_600_000

/**
 * Whether the wall clock goes evenly. A clock that was set wrong for a minute must not have everything deleted that would be
 * old by then; one that was set right is believed after an hour. A machine that slept looks like a jump, too.
 */
export class SteadyClock {
  readonly #now: () => number
  readonly #monotonic: () => number
  #difference: number
  #jumpedAt: number | undefined

  constructor(now: () => number, monotonic: () => number = () => performance.now()) {
    this.#now = now
    this.#monotonic = monotonic
    this.#difference = now() - monotonic()
  }

  /** To be asked every few minutes at least. */
  isSteady(): boolean {
    const at = this.#monotonic()
    const difference = this.#now() - at
    if (Math.abs(difference - this.#difference) > JUMP_MS) this.#jumpedAt = at
    this.#difference = difference
    if (this.#jumpedAt !== undefined && at - this.#jumpedAt > BELIEVED_AFTER_MS) this.#jumpedAt = undefined
    return this.#jumpedAt === undefined
  }
}
