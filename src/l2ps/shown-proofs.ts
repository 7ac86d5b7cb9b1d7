import { FifoMap } from 'toad-cache'

/** Proofs that are remembered; of more the first one shown is forgotten. */
const PROOFS = 50_000
/** Pages one proof opens: two requests in one millisecond have the same proof. */
const PAGES = 16

/**
 * History proofs and the pages they have opened: the same page twice, or more than so many, wants a new proof. A proof
 * that is forgotten because others came is too old by then, or was paid for again.
 */
export class ShownProofs {
  readonly #pages: FifoMap<Set<string>>

  /** `validMs`: after that a proof is not fresh any more. */
  constructor(validMs: number) {
    this.#pages = new FifoMap(PROOFS, validMs)
  }

  /** Notes that a proof opens a page; false: it did before. */
  show(proof: string, page: string): boolean {
    const known = this.#pages.get(proof)
    const pages = known ?? new Set<string>()
    if (pages.has(page) || pages.size >= PAGES) return false
    if (known === undefined) this.#pages.set(proof, pages)
    pages.add(page)
    return true
  }

  /** The page could not be given after all: the proof opens it once more. */
  takeBack(proof: string, page: string): void {
    this.#pages.get(proof)?.delete(page)
  }
}
