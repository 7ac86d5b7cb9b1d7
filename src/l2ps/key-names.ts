import type { Database } from '../database/database.ts'
import type { Presence } from '../presence/registry.ts'
import { signingKeysOf } from '../store/identity.ts'
import type { L2psMember } from './context.ts'

/** Long keys kept, at up to 4 KB each; the one learned longest ago goes first. */
const MAX_KEPT = 4_000

/** The keys behind addresses: an ed25519 key is its own address, a longer one is looked up. */
export class KeyNames {
  readonly #database: Database
  readonly #presence: Presence
  readonly #kept = new Map<string, string>()

  constructor(database: Database, presence: Presence) {
    this.#database = database
    this.#presence = presence
  }

  /** The key in lower-case hex. For a long key of a peer that is away, only after learn(). */
  keyOf(network: string, address: string): string {
    if (!address.includes(':')) return address
    const member = this.#presence.members(network, address)[0] as L2psMember | undefined
    return member?.key.hex ?? this.#kept.get(address) ?? address
  }

  /** Makes the keys behind these addresses known to keyOf(). */
  async learn(network: string, addresses: Iterable<string>): Promise<void> {
    const unknown = new Set([...addresses].filter((address) => this.keyOf(network, address).includes(':')))
    if (unknown.size === 0) return
    const keys = await this.#database.ask(() => signingKeysOf(this.#database.sql, network, [...unknown]))
    for (const { peer, signingKey } of keys) {
      this.#kept.set(peer, Buffer.from(signingKey).toString('hex'))
      if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    }
  }
}
