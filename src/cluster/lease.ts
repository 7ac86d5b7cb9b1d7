import type { Database } from '../database/database.ts'
import { endLease, type OwnRelay, type RelayRow, renewLease } from '../store/relay.ts'

/** How long a lease lasts without being renewed, in ms. */
export const LEASE_MS = 5_000
/**
 * A message that was given a place in a mailbox is committed within so many deadlines, but for one of a relay that stood still
 * in the middle of its transaction: that is found when it is handed over, or by the next look.
 */
const COMMIT_DEADLINES = 3

export interface LeaseOptions {
  readonly database: Database
  readonly relay: () => OwnRelay
  /** The lease had run out, or the database has forgotten it: this relay's places may be another's. */
  readonly lapsed: () => Promise<void>
}

/**
 * The lease of this relay: as long as it holds, its places count. By Postgres' clock for the others; for itself by its own
 * monotonic clock, from the time at which the last renewal that was confirmed was asked for: a renewal whose answer was
 * lost may not have happened.
 */
export class Lease {
  readonly #options: LeaseOptions
  #alive: readonly RelayRow[] = []
  /** When the last renewal that was confirmed was asked for. */
  #confirmedAt: number | undefined
  /** Its places have to be taken again. */
  #isLapsed = false
  /** Last places in a mailbox, of the whole database, and when (ms, monotonic) they had been given away. Oldest first. */
  #given: { readonly at: number; readonly lastSeq: number }[] = []

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** The relays whose leases held when this one was last renewed, in the order of their ids. */
  get alive(): readonly RelayRow[] {
    return this.#alive
  }

  /** Does it hold, and are this relay's places its own? */
  get holds(): boolean {
    return !this.#isLapsed && this.#unconfirmedMs < LEASE_MS
  }

  /** For how long no renewal was confirmed, in ms. */
  get unconfirmedMs(): number {
    return this.#unconfirmedMs
  }

  get #unconfirmedMs(): number {
    return performance.now() - (this.#confirmedAt ?? performance.now())
  }

  /** Renews it. Rejects when Postgres does not answer. */
  async renew(): Promise<void> {
    const { database, relay, lapsed } = this.#options
    const askedAt = performance.now()
    const { wasKnown, alive, lastSeq } = await database.within(
      renewLease(database.sql, relay(), LEASE_MS),
      LEASE_MS / 2
    )
    const isFirst = this.#confirmedAt === undefined
    if (!isFirst && (!wasKnown || askedAt - this.#confirmedAt! > LEASE_MS)) this.#isLapsed = true
    this.#confirmedAt = askedAt
    this.#alive = alive
    if (!wasKnown) this.#given = [] // a database that crashed, or another one: it may give places away again
    this.#given.push({ at: performance.now(), lastSeq })
    if (!this.#isLapsed) return
    await lapsed()
    this.#isLapsed = false
  }

  /** What is not committed at a place of a mailbox up to this one hardly ever will be, see above. `now`: ms, monotonic. */
  settledTo(now: number): number {
    const settledAt = now - COMMIT_DEADLINES * this.#options.database.deadlineMs
    const isSettled = (given: { readonly at: number } | undefined) => given !== undefined && given.at <= settledAt
    while (isSettled(this.#given[1])) this.#given.shift()
    const [oldest] = this.#given
    return oldest !== undefined && isSettled(oldest) ? oldest.lastSeq : 0
  }

  async end(): Promise<void> {
    const { database, relay } = this.#options
    await database.within(endLease(database.sql, relay().id), 1_000)
  }
}
