/** Handshakes that go on in one turn of the event loop: some milliseconds of it. */
const OF_A_TURN = 8

/**
 * Shares the turns of the event loop among handshakes, so that thousands of connections at once keep no socket waiting for
 * long: so many go on in each turn, first those from addresses that asked for little.
 */
export class Handshakes {
  readonly #quiet: (() => void)[] = []
  readonly #noisy: (() => void)[] = []
  #left = OF_A_TURN
  #isCounting = false

  /** Resolves in the turn of this handshake. */
  async turn(isQuiet: boolean): Promise<void> {
    this.#count()
    if (this.#left > 0) this.#left -= 1
    else await new Promise<void>((resolve) => (isQuiet ? this.#quiet : this.#noisy).push(resolve))
  }

  #count(): void {
    if (this.#isCounting) return
    this.#isCounting = true
    setImmediate(() => {
      this.#isCounting = false
      this.#left = OF_A_TURN
      for (; this.#left > 0; this.#left--) {
        const next = this.#quiet.shift() ?? this.#noisy.shift()
        if (next === undefined) return
        next()
      }
      this.#count()
    })
  }
}
