import { LruMap } from 'toad-cache'
import type { Identity, Name } from '../store/identity.ts'

/** How long a looked-up identity is believed, in ms: another server over the same database may change it. */
const BELIEVED_MS = 10_000
/** Most identities kept; the one used longest ago goes first. */
const MAX_ENTRIES = 20_000

/**
 * The keys of peers, kept for a moment: a sender looks the same recipient up for every message. In a cluster, that there is
 * no such peer is not kept: it may register at another relay in the next moment.
 */
export class IdentityCache {
  readonly #find: (name: Name) => Promise<Identity | undefined>
  readonly #now: () => number
  readonly #isAlone: boolean
  readonly #entries = new LruMap<{ identity: Identity | undefined; at: number }>(MAX_ENTRIES)
  /** Look-ups under way whose names have not changed since they began. */
  readonly #lookUps = new Map<string, Promise<Identity | undefined>>()

  constructor(find: (name: Name) => Promise<Identity | undefined>, now: () => number, isAlone = true) {
    this.#find = find
    this.#now = now
    this.#isAlone = isAlone
  }

  /** What is known without asking: undefined when it must be looked up, `{ identity: undefined }` when there is none. */
  peek(network: string, peer: string): { identity: Identity | undefined } | undefined {
    const entry = this.#entries.get(cacheKey(network, peer))
    return entry !== undefined && Math.abs(this.#now() - entry.at) < BELIEVED_MS ? entry : undefined
  }

  /**
   * The identity pinned to a peer's name, or undefined when it never registered. Throws when the database is away. A key
   * that was registered while the look-up was under way is newer than what it found.
   */
  async get(network: string, peer: string): Promise<Identity | undefined> {
    const known = this.peek(network, peer)
    if (known !== undefined) return known.identity
    const key = cacheKey(network, peer)
    let lookUp = this.#lookUps.get(key)
    if (lookUp === undefined) {
      lookUp = this.#find({ network, peer })
      this.#lookUps.set(key, lookUp)
    }
    try {
      const identity = await lookUp
      if (this.#lookUps.get(key) !== lookUp) return (this.peek(network, peer) ?? { identity }).identity
      if (identity !== undefined || this.#isAlone) this.#entries.set(key, { identity, at: this.#now() })
      return identity
    } finally {
      if (this.#lookUps.get(key) === lookUp) this.#lookUps.delete(key)
    }
  }

  /** It is this from now on. Kept if somebody has asked for it: to most peers nobody writes. */
  renew(network: string, peer: string, identity: Identity | undefined): void {
    const key = cacheKey(network, peer)
    const isAsked = this.#lookUps.delete(key)
    if (isAsked || this.#entries.get(key) !== undefined) this.#entries.set(key, { identity, at: this.#now() })
  }

  /** Another relay has changed it. */
  forget(network: string, peer: string): void {
    const key = cacheKey(network, peer)
    this.#lookUps.delete(key)
    this.#entries.delete(key)
  }

  /** The name has no owner now. */
  released(network: string, peer: string): void {
    if (this.#isAlone) this.renew(network, peer, undefined)
    else this.forget(network, peer)
  }

  /** Another relay may have changed any of them. */
  clear(): void {
    this.#lookUps.clear()
    this.#entries.clear()
  }
}

const cacheKey = (network: string, peer: string) => `${network} ${peer}`
