import { addressKey } from './address.ts'
import { Bucket } from './bucket.ts'
import { ASSURED, ASSURED_UNREGISTERED, BURST_SECONDS, PRICES, type Rates, type Work } from './prices.ts'

/** Accounts that nobody uses are kept until they are full again; of more than so many the oldest are dropped. */
const KEPT_ACCOUNTS = 50_000

/**
 * The budgets of addresses and identities. They are kept while somebody uses them and, as far as there is room, afterwards:
 * a new connection must not come with a new budget.
 */
export class Accounts {
  readonly rates: Rates
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()

  constructor(rates: Rates, now: () => number = () => performance.now()) {
    this.rates = rates
    this.#now = now
  }

  /** The meter of a new socket: the connection is paid for. */
  meter(address: string | undefined): Meter {
    const { rates } = this
    const key = addressKey(address)
    const arrivals = this.bucket('arrivals', key, rates.address)
    return new Meter(rates, { arrivals, address: this.bucket('address', key, rates.address) }, this.#now)
  }

  /** How long until the arrivals of an address are within their budget, in ms. */
  arrivalMs(address: string | undefined): number {
    const bucket = this.bucket('arrivals', addressKey(address), this.rates.address)
    return bucket.waitMs(this.#now())
  }

  /** The budget of an identity, shared by all its sessions. */
  identity(network: string, peer: string): Bucket {
    return this.bucket('identity', `${network} ${peer}`, this.rates.identity)
  }

  bucket(kind: string, name: string, perSecond: number): Bucket {
    const key = `${kind} ${name}`
    const known = this.#buckets.get(key)
    const bucket = known ?? new Bucket(perSecond, perSecond * BURST_SECONDS, this.#now())
    if (known !== undefined) this.#buckets.delete(key) // it is the youngest now
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > KEPT_ACCOUNTS) this.#buckets.delete(this.#buckets.keys().next().value!)
    return bucket
  }
}

/**
 * Whose turn it is first: who asked for little lately; who asked for more; who asked for more than a registration takes
 * and has not registered.
 */
export type Rank = 'quiet' | 'noisy' | 'stranger'

/** Why a socket has to wait: for what it did itself, or for what all of its address or identity did. */
export type Overdrawn = 'own' | 'shared'

interface OfAddress {
  /** Connections and registrations, apart from the rest: peers that flood keep no neighbour from coming back. */
  readonly arrivals: Bucket
  readonly address: Bucket
}

/**
 * What one socket pays for. Until it is registered it pays into the arrivals of its address. A registered one has a small
 * budget that nobody else can use up (`ASSURED`): only what exceeds it is charged to its address and its identity, so a
 * neighbour that floods slows itself down, not the others.
 */
export class Meter {
  readonly #now: () => number
  readonly #own: Bucket
  readonly #address: Bucket
  #shared: readonly Bucket[]
  #assured: Bucket
  #isRegistered = false

  constructor(rates: Rates, { arrivals, address }: OfAddress, now: () => number) {
    this.#now = now
    this.#own = new Bucket(rates.socket, rates.socket * BURST_SECONDS, now())
    this.#address = address
    this.#shared = [arrivals]
    this.#assured = new Bucket(ASSURED_UNREGISTERED.perSecond, ASSURED_UNREGISTERED.atOnce, now())
    this.pay('connection')
  }

  /** It speaks for an identity from now on. */
  register(identity: Bucket): void {
    this.#isRegistered = true
    this.#shared = [this.#address, identity]
    this.#assured = new Bucket(ASSURED.perSecond, ASSURED.atOnce, this.#now())
  }

  /** Before the work is done. `amount`: how often, or how many kilobytes. */
  pay(work: Work, amount = 1): void {
    const now = this.#now()
    const cost = PRICES[work] * amount
    this.#own.spend(cost, now)
    const isAssured = this.#assured.has(now)
    if (isAssured) this.#assured.spend(cost, now)
    if (!isAssured || !this.#isRegistered) for (const bucket of this.#shared) bucket.spend(cost, now)
  }

  get rank(): Rank {
    if (this.#assured.has(this.#now())) return 'quiet'
    return this.#isRegistered ? 'noisy' : 'stranger'
  }

  /** How long it has to wait before anything more of it is handled, in ms, and why; undefined: it need not. */
  overdrawn(): { readonly ms: number; readonly why: Overdrawn } | undefined {
    const now = this.#now()
    const own = this.#own.waitMs(now)
    if (own > 0) return { ms: own, why: 'own' }
    if (this.#isRegistered && this.#assured.has(now)) return undefined
    let shared = 0
    for (const bucket of this.#shared) shared = Math.max(shared, bucket.waitMs(now))
    return shared > 0 ? { ms: shared, why: 'shared' } : undefined
  }
}
