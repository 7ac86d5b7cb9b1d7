/** Most entries that are remembered; the oldest are forgotten. */
const MOST = 100_000

/**
 * Places of entries that were sent to a session and are still in their mailbox, since it ended without a receipt: who is
 * sent one of them may have had it already.
 */
export class ReturnedEntries {
  readonly #seqs = new Set<number>()

  note(seq: number): void {
    this.#seqs.add(seq)
    if (this.#seqs.size <= MOST) return
    for (const oldest of this.#seqs) {
      this.#seqs.delete(oldest)
      return
    }
  }

  /** Was it sent before? Asked once: forgets it. */
  take(seq: number): boolean {
    return this.#seqs.size > 0 && this.#seqs.delete(seq)
  }
}
