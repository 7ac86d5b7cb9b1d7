import { createHash } from 'node:crypto'
import { Fifo } from 'toad-cache'

const MINUTE_MS = 60_000
/** Claimants whose failures are counted; of more, the one that failed first is forgotten. */
const CLAIMANTS = 10_000

/**
 * How many proofs for a name or key failed from an address in the minute since the first: past the limit none of them is
 * checked. Others behind the same address, and the same name from another address, are not affected. Proofs that hold are
 * not counted.
 */
export class FailedProofs {
  readonly #perMinute: number
  readonly #failures = new Fifo<{ count: number }>(CLAIMANTS, MINUTE_MS)

  constructor(perMinute: number) {
    this.#perMinute = perMinute
  }

  /** May a proof for this name or key from this address be checked? */
  allows(address: string, claimed: string): boolean {
    return (this.#failures.get(keyOf(address, claimed))?.count ?? 0) < this.#perMinute
  }

  count(address: string, claimed: string): void {
    const key = keyOf(address, claimed)
    const failures = this.#failures.get(key)
    if (failures === undefined) this.#failures.set(key, { count: 1 })
    else failures.count += 1
  }
}

/** A digest: what is claimed may be long. */
const keyOf = (address: string, claimed: string) => createHash('sha1').update(`${address} ${claimed}`).digest('base64')
