import { LruMap } from 'toad-cache'
import { Bucket } from '../limits/bucket.ts'

/** Most bytes of bodies that are stored in a day; 0: no limit. */
export interface DailyLimits {
  readonly senderBytesPerDay: number
  readonly networkBytesPerDay: number
}

const DAY_SECONDS = 86_400
/** Senders that are counted; of more, those that sent longest ago start anew. */
const MAX_SENDERS = 50_000

/**
 * How much each sender, and all senders of a network together, have stored: as much as is allowed in a day at once, and
 * then as it comes back, evenly. Counted by this relay, since its start.
 */
export class DailyBytes {
  readonly #limits: DailyLimits
  readonly #now: () => number
  readonly #senders = new LruMap<Bucket>(MAX_SENDERS)
  readonly #networks = new Map<string, Bucket>()

  /** `now`: of a monotonic clock, in ms. */
  constructor(limits: DailyLimits, now: () => number = () => performance.now()) {
    this.#limits = limits
    this.#now = now
  }

  /** Counts a message; false, and nothing is counted: its sender or its network has stored too much. */
  take({
    network,
    sender,
    bytes
  }: {
    readonly network: string
    readonly sender: string
    readonly bytes: number
  }): boolean {
    const { senderBytesPerDay, networkBytesPerDay } = this.#limits
    const now = this.#now()
    const ofSender = senderBytesPerDay === 0 ? undefined : this.#ofSender(`${network} ${sender}`, now)
    const ofNetwork = networkBytesPerDay === 0 ? undefined : this.#ofNetwork(network, now)
    if (ofSender?.has(now) === false || ofNetwork?.has(now) === false) return false
    ofSender?.spend(bytes, now)
    ofNetwork?.spend(bytes, now)
    return true
  }

  #ofSender(key: string, now: number): Bucket {
    const known = this.#senders.get(key)
    if (known !== undefined) return known
    const bucket = daily(this.#limits.senderBytesPerDay, now)
    this.#senders.set(key, bucket)
    return bucket
  }

  #ofNetwork(network: string, now: number): Bucket {
    let bucket = this.#networks.get(network)
    if (bucket === undefined) {
      bucket = daily(this.#limits.networkBytesPerDay, now)
      this.#networks.set(network, bucket)
    }
    return bucket
  }
}

const daily = (bytes: number, now: number) => new Bucket(bytes / DAY_SECONDS, bytes, now)
