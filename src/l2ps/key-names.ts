import type { Database } from '../database/database.ts'
import type { PeerKey } from '../protocol/peer-key.ts'
import { signingKeysOf } from '../store/identity.ts'

/** Long keys kept, at up to 4 KB each; the one used longest ago goes first. */
const MAX_KEPT = 4_000

/** The keys behind addresses: an ed25519 key is its own address, a longer one is remembered or looked up. */
export class KeyNames {
  readonly #database: Pick<Database, 'sql' | 'ask'>
  readonly #kept = new Map<string, string>()

  constructor(database: Pick<Database, 'sql' | 'ask'>) {
    this.#database = database
  }

  /**
   * The key in lower-case hex. A long one is known after remember() or learn(), until 4,000 others were used; of a peer
   * whose identity was released nothing but its address is left.
   */
  keyOf(address: string): string {
    return isWholeKey(address) ? address : (this.#kept.get(address) ?? address)
  }

  /** Makes the key of a peer that registers or sends known to keyOf(). */
  remember({ address, hex }: PeerKey): void {
    if (!isWholeKey(address)) this.#keep(address, hex)
  }

  /** Makes the keys behind these addresses known to keyOf(). */
  async learn(network: string, addresses: Iterable<string>): Promise<void> {
    const unknown = new Set([...addresses].filter((address) => !isWholeKey(address) && !this.#kept.has(address)))
    if (unknown.size === 0) return
    const keys = await this.#database.ask(() => signingKeysOf(this.#database.sql, network, [...unknown]))
    for (const { peer, signingKey } of keys) this.#keep(peer, Buffer.from(signingKey).toString('hex'))
  }

  #keep(address: string, hex: string): void {
    this.#kept.delete(address)
    this.#kept.set(address, hex)
    if (this.#kept.size > MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
  }
}

const isWholeKey = (address: string) => !address.includes(':')
