// The public keys of other peers, for as long as they are likely to be right.

/** The server does not tell when a peer comes back with another key, so no key is believed for longer than this. */
const BELIEVED_MS = 60_000
const MAX_ENTRIES = 1_000

interface Entry {
  key: Promise<Uint8Array>
  until: number
}

export class KeyCache {
  readonly #entries = new Map<string, Entry>()

  /** The cached key, or the one being fetched, or a new fetch. A fetch that fails is not remembered. */
  get(peer: string, fetch: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const known = this.#entries.get(peer)
    if (known && known.until > Date.now()) return known.key
    const entry = { key: fetch(), until: Date.now() + BELIEVED_MS }
    this.#entries.delete(peer)
    this.#entries.set(peer, entry)
    entry.key.catch(() => this.#entries.get(peer) === entry && this.#entries.delete(peer))
    if (this.#entries.size > MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value!)
    return entry.key
  }

  forget(peer: string): void {
    this.#entries.delete(peer)
  }

  clear(): void {
    this.#entries.clear()
  }
}
