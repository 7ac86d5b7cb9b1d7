import { RateLimiterMemory } from 'rate-limiter-flexible'

/**
 * How many proofs of an address failed in the last minute: past the limit none of its proofs is checked, so guessing
 * costs us a look-up and not a signature. Proofs that hold are not counted: many peers may share an address.
 */
export class FailedProofs {
  readonly #limiter: RateLimiterMemory

  constructor(perMinute: number) {
    this.#limiter = new RateLimiterMemory({ points: perMinute, duration: 60 })
  }

  /** May a proof from this address be checked? */
  async allows(address: string): Promise<boolean> {
    const spent = await this.#limiter.get(address)
    return spent === null || spent.remainingPoints > 0
  }

  async count(address: string): Promise<void> {
    await this.#limiter.consume(address).catch(() => undefined) // rejects when the limit is passed, which is no error here
  }
}
