import { grouped } from '../database/batcher.ts'
import { type Database, DatabaseUnavailable } from '../database/database.ts'
import { type Claim, type ClaimOutcome, changeOwnerOrKey, confirmOrCreate, ownedByOther } from '../store/identity.ts'

export interface ClaimsOptions {
  readonly database: Database
  /** A name whose owner has not been here for so long, with an empty mailbox, is anybody's. */
  readonly idleDays: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: { error(facts: object, message: string): void }
}

/** Pins claimants' keys to their names: many claims share a commit. */
export class Claims {
  readonly #options: ClaimsOptions
  readonly #settle: (claim: Claim) => Promise<string>

  constructor(options: ClaimsOptions) {
    const { database, log } = options
    this.#options = options
    this.#settle = grouped({
      ...{ database, work: confirmOrCreate },
      failed: (error, claims) => log.error({ err: error, claims }, 'claims not stored')
    })
  }

  /**
   * Resolves after the commit; rejects with `DatabaseUnavailable`. The caller has checked the proof, and claims a name once
   * at a time.
   */
  async take(claim: Claim): Promise<ClaimOutcome> {
    const outcome = await this.#settle(claim)
    if (outcome === 'confirmed' || outcome === 'created') return outcome
    if (outcome !== 'other') throw new DatabaseUnavailable('the claim was not stored')
    const { database, idleDays, now } = this.#options
    return database.within(changeOwnerOrKey(database.sql, claim, idleDays, now()))
  }

  /** Does this name belong to another signing key? Cheap: taken names are refused before anything else. */
  isTaken(claim: Claim): Promise<boolean> {
    const { database, idleDays } = this.#options
    return database.within(ownedByOther(database.sql, claim, idleDays))
  }
}
