/** Relays that are remembered: each start makes another one. */
const MOST_RELAYS = 1_000

/**
 * Finds out that a hand-over was missed. Each relay counts what it has sent to each other one, also what it could not send
 * because the bus was away, and says the counts with every beat. A number that skips, or a count that is ahead of what
 * came, is a miss.
 */
export class HandOverNumbers {
  readonly #sent = new Map<string, number>()
  readonly #received = new Map<string, number>()
  readonly #heardAt = new Map<string, number>()

  /** The number of the next hand-over to a relay. */
  next(relay: string): number {
    const number = (this.#sent.get(relay) ?? 0) + 1
    this.#sent.set(relay, number)
    return number
  }

  /** What was sent to each of these relays. */
  sent(relays: readonly string[]): Record<string, number> {
    return Object.fromEntries(relays.map((relay) => [relay, this.#sent.get(relay) ?? 0]))
  }

  /** A hand-over came; true: one before it did not. One that comes late or twice is no miss. `now`: ms, monotonic. */
  received(from: string, number: number, now: number): boolean {
    this.#heardAt.set(from, now)
    const last = this.#received.get(from) ?? 0
    if (number <= last) return false
    this.#received.set(from, number)
    return number > last + 1
  }

  /** A relay says that it has sent us so many; true: not all of them came. */
  beat(from: string, sentToUs: number, now: number): boolean {
    this.#heardAt.set(from, now)
    if (sentToUs <= (this.#received.get(from) ?? 0)) return false
    this.#received.set(from, sentToUs)
    return true
  }

  /** Which of these relays was not heard for `ms`? One that is new has as long. */
  isAnySilent(relays: readonly string[], now: number, ms: number): boolean {
    for (const relay of relays) if (!this.#heardAt.has(relay)) this.#heardAt.set(relay, now)
    return relays.some((relay) => now - this.#heardAt.get(relay)! > ms)
  }

  /**
   * Forgets relays that are not among these, once there are very many: one whose lease has lapsed may come back under its
   * id, and goes on counting where it was.
   */
  prune(alive: ReadonlySet<string>): void {
    for (const map of [this.#sent, this.#received, this.#heardAt]) {
      if (map.size < MOST_RELAYS) continue
      for (const relay of map.keys()) if (!alive.has(relay)) map.delete(relay)
    }
  }
}
