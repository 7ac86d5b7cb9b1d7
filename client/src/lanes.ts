// Work that may be prepared side by side but must take effect in the order it was asked for.

/** Each lane keeps its own order; lanes do not wait for each other, and a failure holds up nobody behind it. */
export class Lanes {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** Runs `act` on what was prepared, once everything asked for earlier on this lane has acted or failed. */
  run<P, T>(lane: string, prepared: Promise<P>, act: (value: P) => T | Promise<T>): Promise<T> {
    prepared.catch(() => {}) // it may fail before its turn; it is reported then
    const before = this.#tails.get(lane) ?? Promise.resolve()
    const done = before.then(() => prepared).then(act)
    const tail = done.then(
      () => {},
      () => {}
    )
    this.#tails.set(lane, tail)
    tail.then(() => this.#tails.get(lane) === tail && this.#tails.delete(lane))
    return done
  }

  /** Resolves when nothing is left on any lane. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}
