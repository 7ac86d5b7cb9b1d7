// Notices when a peer announces another key than before.
import { fromBase64, toBase64 } from './base64.ts'
import type { ClientStorage } from './storage.ts'

const MAX_REMEMBERED = 1_000

export interface KeyChange {
  peerId: string
  /** The key that messages are sealed to from now on. */
  publicKey: Uint8Array
  previousKey: Uint8Array
  /** As in a `PeerKey`: then this may well be somebody else. */
  ownerChangedAt?: number
}

/** The key that each peer announced last: the last 1,000 peers in memory, all of them in the application's storage. */
export class KnownKeys {
  readonly #clientId: string
  readonly #storage: ClientStorage | undefined
  /** In base64; the peer that was seen longest ago is first. */
  readonly #keys = new Map<string, string>()

  constructor(clientId: string, storage: ClientStorage | undefined) {
    this.#clientId = clientId
    this.#storage = storage
  }

  /** Remembers a key; returns the change if the peer had another one. */
  async notice(peerId: string, publicKey: Uint8Array): Promise<KeyChange | undefined> {
    const name = `key ${this.#clientId} ${peerId}`
    const key = toBase64(publicKey)
    const previous = this.#keys.get(peerId) ?? (await this.#storage?.get(name))
    this.#keys.delete(peerId)
    this.#keys.set(peerId, key)
    if (this.#keys.size > MAX_REMEMBERED) this.#keys.delete(this.#keys.keys().next().value!)
    if (previous === key) return undefined
    await this.#storage?.set(name, key)
    return typeof previous === 'string' ? { peerId, publicKey, previousKey: fromBase64(previous) } : undefined
  }
}
