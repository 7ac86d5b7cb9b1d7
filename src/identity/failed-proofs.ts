import { Fifo } from 'toad-cache'

const MINUTE_MS = 60_000
/** Addresses whose failures are counted; of more, the one that failed first is forgotten. */
const ADDRESSES = 10_000

/**
 * How many proofs of an address failed in the minute since the first: past the limit none of its proofs is checked, so
 * guessing costs us a look-up and not a signature. Proofs that hold are not counted: many peers may share an address.
 */
export class FailedProofs {
  readonly #perMinute: number
  readonly #failures = new Fifo<{ count: number }>(ADDRESSES, MINUTE_MS)

  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  /** May a proof from this address be checked? */
  allows(address: string): boolean {
    return (this.#failures.get(address)?.count ?? 0) < this.#perMinute
  }

  count(address: string): void {
    const failures = this.#failures.get(address)
    if (failures === undefined) this.#failures.set(address, { count: 1 })
    else failures.count += 1
  }
}
