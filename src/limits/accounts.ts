import { LruMap } from 'toad-cache'
import { addressKey } from './address.ts'
import { Bucket } from './bucket.ts'
import { NoisyBudget } from './noisy-budget.ts'
import {
  ASSURED,
  ASSURED_REQUESTS,
  ASSURED_UNREGISTERED,
  BURST_SECONDS,
  PRICES,
  type Rates,
  type Work
} from './prices.ts'

/** Accounts that nobody uses are kept until they are full again; of more than so many the oldest are dropped. */
const KEPT_ACCOUNTS = 50_000

/**
 * The budgets of addresses and identities. They are kept while somebody uses them and, as far as there is room, afterwards:
 * a new connection must not come with a new budget.
 */
export class Accounts {
  readonly rates: Rates
  /** What all who asked for more than they may always have may ask for together. */
  readonly noisy = new NoisyBudget()
  readonly #now: () => number
  readonly #buckets = new LruMap<Bucket>(KEPT_ACCOUNTS)

  constructor(rates: Rates, now: () => number = () => performance.now()) {
    this.rates = rates
    this.#now = now
  }

  /** The meter of a new socket: the connection is paid for. */
  meter(address: string | undefined): Meter {
    const { rates } = this
    const key = addressKey(address)
    const arrivals = this.bucket('arrivals', key, rates.address)
    const ofAddress = this.bucket('address', key, rates.address)
    return new Meter(rates, { arrivals, address: ofAddress, noisy: this.noisy }, this.#now)
  }

  /** The meter of a new connection for its requests over HTTP. */
  requestMeter(address: string | undefined): RequestMeter {
    const { perSecond, atOnce } = ASSURED_REQUESTS
    const assured = this.#bucket(`assured ${addressKey(address)}`, perSecond, atOnce)
    return new RequestMeter(this.rates.socket, { assured, noisy: this.noisy }, this.#now)
  }

  /** How long until the arrivals of an address are within their budget, in ms. */
  arrivalMs(address: string | undefined): number {
    const bucket = this.bucket('arrivals', addressKey(address), this.rates.address)
    return bucket.waitMs(this.#now())
  }

  /** The budgets that a registered socket shares with all sessions of its identity, and with all of its network. */
  ofMember(network: string, peer: string): Bucket[] {
    const { identity, network: ofNetwork } = this.rates
    const own = this.bucket('identity', `${network} ${peer}`, identity)
    return ofNetwork === 0 ? [own] : [own, this.bucket('network', network, ofNetwork)]
  }

  bucket(kind: string, name: string, perSecond: number): Bucket {
    const key = [kind, name].join(' ') // one string: of a template V8 would keep the parts as well
    return this.#bucket(key, perSecond, perSecond * BURST_SECONDS)
  }

  #bucket(key: string, perSecond: number, atOnce: number): Bucket {
    const known = this.#buckets.get(key)
    if (known !== undefined) return known
    const bucket = new Bucket(perSecond, atOnce, this.#now())
    this.#buckets.set(key, bucket)
    return bucket
  }
}

/**
 * Whose turn it is first: a registered socket that asked for little lately; a visitor, who registers or asks for little over HTTP; who
 * asked for more; and a stranger, who asked for more than a registration takes and has not registered.
 */
export type Rank = 'quiet' | 'visitor' | 'noisy' | 'stranger'

/** Why a socket has to wait: for what it did itself, or for what all of its address, identity or network did. */
export type Overdrawn = 'own' | 'shared'

/** Who pays for what a connection asks for. */
export interface Payer {
  /** Before the work is done. `amount`: how often, or how many kilobytes. */
  pay(work: Work, amount?: number): void
  readonly rank: Rank
  /** How long it has to wait before anything more of it is handled, in ms, and why; undefined: it need not. */
  overdrawn(): { readonly ms: number; readonly why: Overdrawn } | undefined
}

interface OfAddress {
  /** Connections and registrations, apart from the rest: peers that flood keep no neighbour from coming back. */
  readonly arrivals: Bucket
  readonly address: Bucket
  readonly noisy: NoisyBudget
}

/**
 * What one socket pays for. Until it is registered it pays into the arrivals of its address. A registered one has a small
 * budget that nobody else can use up (`ASSURED`): only what exceeds it is charged to its address, its identity and its network, so a
 * neighbour that floods slows itself down, not the others.
 */
export class Meter implements Payer {
  readonly #now: () => number
  readonly #own: Bucket
  readonly #address: Bucket
  readonly #noisy: NoisyBudget
  #shared: readonly Bucket[]
  #assured: Bucket
  #isRegistered = false

  constructor(rates: Rates, { arrivals, address, noisy }: OfAddress, now: () => number) {
    this.#now = now
    this.#own = new Bucket(rates.socket, rates.socket * BURST_SECONDS, now())
    this.#address = address
    this.#noisy = noisy
    this.#shared = [arrivals]
    this.#assured = new Bucket(ASSURED_UNREGISTERED.perSecond, ASSURED_UNREGISTERED.atOnce, now())
    this.pay('connection')
  }

  /** It speaks for an identity from now on, see `ofMember`. */
  register(ofMember: readonly Bucket[]): void {
    this.#isRegistered = true
    this.#shared = [this.#address].concat(ofMember) // exactly as long: V8 leaves room for 17 more in a literal with a spread
    this.#assured = new Bucket(ASSURED.perSecond, ASSURED.atOnce, this.#now(), ASSURED.atFirst)
  }

  pay(work: Work, amount = 1): void {
    const now = this.#now()
    const cost = PRICES[work] * amount
    this.#own.spend(cost, now)
    const isAssured = this.#assured.has(now)
    if (isAssured) this.#assured.spend(cost, now)
    else if (this.#isRegistered) this.#noisy.spend(cost, now)
    if (!isAssured || !this.#isRegistered) for (const bucket of this.#shared) bucket.spend(cost, now)
  }

  get rank(): Rank {
    const isAssured = this.#assured.has(this.#now())
    if (this.#isRegistered) return isAssured ? 'quiet' : 'noisy'
    return isAssured ? 'visitor' : 'stranger'
  }

  /** Registered, and quiet for seconds: how long its answers take tells what noisy sockets do, and not what it did itself. */
  get isLongQuiet(): boolean {
    return this.#isRegistered && this.#assured.isHalfFull(this.#now())
  }

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

interface OfRequests {
  /** Of its address. */
  readonly assured: Bucket
  /** Of everybody: what exceeds that. */
  readonly noisy: NoisyBudget
}

/**
 * What one connection pays for with its requests over HTTP. Those of an address that asked for little lately are visitors',
 * others are read with the noisy sockets. A proxy's connections carry the requests of many, so only one that is above its own
 * budget has to wait in any case.
 */
export class RequestMeter implements Payer {
  readonly #now: () => number
  readonly #own: Bucket
  readonly #shared: OfRequests

  constructor(perSecond: number, shared: OfRequests, now: () => number) {
    this.#now = now
    this.#own = new Bucket(perSecond, perSecond * BURST_SECONDS, now())
    this.#shared = shared
  }

  pay(work: Work, amount = 1): void {
    const now = this.#now()
    const cost = PRICES[work] * amount
    const { assured, noisy } = this.#shared
    this.#own.spend(cost, now)
    if (assured.has(now)) assured.spend(cost, now)
    else noisy.spend(cost, now)
  }

  get rank(): Rank {
    return this.#shared.assured.has(this.#now()) ? 'visitor' : 'noisy'
  }

  overdrawn(): { readonly ms: number; readonly why: Overdrawn } | undefined {
    const ms = this.#own.waitMs(this.#now())
    return ms > 0 ? { ms, why: 'own' } : undefined
  }
}
