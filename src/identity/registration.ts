import { batched } from '../database/batched.ts'
import { type Database, DatabaseUnavailable, type Sql } from '../database/database.ts'
import {
  type Claim,
  type ClaimOutcome,
  changeOwnerOrKey,
  confirmOrCreate,
  findIdentities,
  type Identity,
  type NameOwner,
  ownersOf
} from '../store/identity.ts'
import type { BatchFailure } from '../util/batcher.ts'

export interface RegistrationOptions {
  readonly database: Database
  /** A name whose owner has been away this long, with an empty mailbox, may be registered with another key. */
  readonly idleDays: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: { error(facts: object, message: string): void }
}

/** Pins the keys of claimants to their names: many registrations share a question, and a commit. */
export class Registration {
  readonly #options: RegistrationOptions
  readonly #findOwner: (claim: Claim) => Promise<NameOwner | BatchFailure>
  readonly #settle: (claim: Claim) => Promise<string>

  constructor(options: RegistrationOptions) {
    const { database, idleDays, log } = options
    this.#options = options
    this.#findOwner = batched({
      ...{ database, work: (sql: Sql, claims: readonly Claim[]) => ownersOf(sql, claims, idleDays) },
      failed: (error, claims) => log.error({ err: error, claims }, 'owners of names not looked up')
    })
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
    const find = () => database.within(findIdentities(database.sql, [{ network, peer }]))
    const [stored] = idleDays === 0 ? [] : await find()
    return { encryptionKey, keyId, ownerChangedAt: stored?.ownerChangedAt } // not the signing key: a view of a larger buffer
  }

  /** Whose is this name? Asked before anything is checked: who does not own a name costs a look-up. */
  async ownerOf(claim: Claim): Promise<NameOwner> {
    const owner = await this.#findOwner(claim)
    if (owner === 'busy' || owner === 'unavailable')
      throw new DatabaseUnavailable('the owner of the name was not found')
    return owner
  }
}
