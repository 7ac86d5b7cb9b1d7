/** How long an entry is remembered after it left, in ms, at least: a page that was asked for before may still hold it. */
const REMEMBERED_MS = 1_000

/**
 * Entries that were received and are on their way out of their mailbox, or left it a moment ago: a recipient that comes
 * back at once is not sent them again out of a page that still has them.
 */
export class LeavingEntries {
  readonly #leaving = new Set<number>()
  #left = new Set<number>()
  #leftBefore = new Set<number>()
  #turnedAt = performance.now()

  has(seq: number): boolean {
    return this.#leaving.has(seq) || this.#left.has(seq) || this.#leftBefore.has(seq)
  }

  add(seq: number): void {
    this.#leaving.add(seq)
  }

  /** It is out of its mailbox, or, with `false`, has to stay in it. */
  settle(seq: number, isOut: boolean): void {
    this.#leaving.delete(seq)
    if (!isOut) return
    const now = performance.now()
    if (now - this.#turnedAt > REMEMBERED_MS) {
      this.#leftBefore = this.#left
      this.#left = new Set()
      this.#turnedAt = now
    }
    this.#left.add(seq)
  }
}
