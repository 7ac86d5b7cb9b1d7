import { createHash } from 'node:crypto'
import { FifoMap, LruMap } from 'toad-cache'

const MINUTE_MS = 60_000
/** Refusals of an address that are answered at once; after these each takes longer, up to the longest, in ms. */
const AT_ONCE = 20
const STEP_MS = 25
const LONGEST_MS = 3_000
/** An address that was not refused anything for so long is answered at once again, in ms. */
const FORGOTTEN_MS = 10_000
/** Claimants whose failures are counted; of more, the one that failed first is forgotten. */
const CLAIMANTS = 10_000

/**
 * How many proofs for a name or key failed from an address in the minute since the first: past the limit none of them is
 * checked. Others behind the same address, and the same name from another address, are not affected. Proofs that hold are
 * not counted.
 */
export class FailedProofs {
  readonly #perMinute: number
  readonly #failures = new FifoMap<{ count: number }>(CLAIMANTS, MINUTE_MS)

  readonly #refusals = new LruMap<{ count: number; at: number }>(CLAIMANTS)

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

  /**
   * A registration from this address is refused: how long its answer waits, in ms. Clients that try again at once and for
   * ever slow down by that, and those behind the same address that are not refused notice nothing.
   */
  refused(address: string, now = performance.now()): number {
    const known = this.#refusals.get(address)
    const count = known === undefined || now - known.at > FORGOTTEN_MS ? 1 : known.count + 1
    this.#refusals.set(address, { count, at: now })
    return Math.min(LONGEST_MS, Math.max(0, count - AT_ONCE) * STEP_MS)
  }
}

/** A digest: what is claimed may be long. */
const keyOf = (address: string, claimed: string) => createHash('sha1').update(`${address} ${claimed}`).digest('base64')
