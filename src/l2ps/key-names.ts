import { LruMap } from 'toad-cache'
import type { PeerKey } from '../protocol/peer-key.ts'
import type { Name } from '../store/identity.ts'

/** Long keys kept, at up to 4 KB each; the one used longest ago goes first. */
const MAX_KEPT = 4_000

/** The keys behind addresses: an ed25519 key is its own address, a longer one is remembered or looked up. */
export class KeyNames {
  readonly #find: (name: Name) => Promise<Uint8Array | undefined>
  readonly #kept = new LruMap<string>(MAX_KEPT)

  /** `find`: the signing key pinned to a name. */
  constructor(find: (name: Name) => Promise<Uint8Array | undefined>) {
    this.#find = find
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
    if (!isWholeKey(address)) this.#kept.set(address, hex)
  }

  /** Makes the keys behind these addresses known to keyOf(). */
  async learn(network: string, addresses: Iterable<string>): Promise<void> {
    const unknown = new Set(
      [...addresses].filter((address) => !isWholeKey(address) && this.#kept.get(address) === undefined)
    )
    const learn = async (peer: string) => {
      const signingKey = await this.#find({ network, peer })
      if (signingKey !== undefined) this.#kept.set(peer, Buffer.from(signingKey).toString('hex'))
    }
    await Promise.all([...unknown].map(learn))
  }

  /** Is or was this key in the network? */
  async hasEntered(network: string, { address }: PeerKey): Promise<boolean> {
    return (await this.#find({ network, peer: address })) !== undefined
  }
}

const isWholeKey = (address: string) => !address.includes(':')
