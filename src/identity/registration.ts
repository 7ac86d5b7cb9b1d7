import { batched } from '../database/batched.ts'
import { type Database, DatabaseUnavailable } from '../database/database.ts'
import {
  type Claim,
  type ClaimOutcome,
  changeOwnerOrKey,
  confirmOrCreate,
  findIdentity,
  type Identity,
  type NameOwner,
  ownerOf
} from '../store/identity.ts'

export interface RegistrationOptions {
  readonly database: Database
  /** A name whose owner has been away this long, with an empty mailbox, may be registered with another key. */
  readonly idleDays: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: { error(facts: object, message: string): void }
}

/** Pins the keys of claimants to their names: many registrations share a commit. */
export class Registration {
  readonly #options: RegistrationOptions
  readonly #settle: (claim: Claim) => Promise<string>

  constructor(options: RegistrationOptions) {
    const { database, log } = options
    this.#options = options
    this.#settle = batched({
      ...{ database, work: confirmOrCreate },
      failed: (error, claims) => log.error({ err: error, claims }, 'registrations not stored')
    })
  }

  /**
   * Resolves after the commit; rejects with `DatabaseUnavailable`. The caller has checked the proof, and registers a name
   * once at a time.
   */
  async register(claim: Claim): Promise<ClaimOutcome> {
    const outcome = await this.#settle(claim)
    if (outcome === 'confirmed' || outcome === 'created') return outcome
    if (outcome !== 'other') throw new DatabaseUnavailable('the registration was not stored')
    const { database, idleDays, now } = this.#options
    return database.within(changeOwnerOrKey(database.sql, claim, idleDays, now()))
  }

  /** What is handed out for a name that was just claimed; where names may change their owners, that is looked up. */
  async identityOf({ network, peer, encryptionKey, keyId }: Claim): Promise<Identity> {
    const { database, idleDays } = this.#options
    const stored = idleDays === 0 ? undefined : await database.within(findIdentity(database.sql, network, peer))
    return { encryptionKey, keyId, ownerChangedAt: stored?.ownerChangedAt } // not the signing key: a view of a larger buffer
  }

  /** Whose is this name? Asked before anything is checked: who does not own a name costs a look-up. */
  ownerOf(claim: Claim): Promise<NameOwner> {
    const { database, idleDays } = this.#options
    return database.within(ownerOf(database.sql, claim, idleDays))
  }
}
