import { type Announced, Announcer, type Present } from './announcer.ts'

export type { Announced, Present } from './announcer.ts'

/**
 * Who is connected to this process, and the only place that knows it. A peer is connected from `add` of its first session
 * to `remove` of its last. Look-ups are O(1).
 */
export class Registry<M extends Present> {
  readonly #networks = new Map<string, Map<string, M[]>>()
  readonly #announcer: Announcer<M>
  /** In a cluster another relay may have sessions of a peer, too: who came and who left is said by `announce`. */
  readonly #isAlone: boolean
  #size = 0

  constructor({ coalesceMs, isAlone = true }: { coalesceMs?: number; isAlone?: boolean } = {}) {
    this.#isAlone = isAlone
    this.#announcer = new Announcer((network) => this.sessionsIn(network), coalesceMs)
  }

  /** Registered sessions in all networks. */
  get size(): number {
    return this.#size
  }

  /** The sessions of a peer; empty: it is away. */
  sessions(network: string, peer: string): readonly M[] {
    return this.#networks.get(network)?.get(peer) ?? NONE
  }

  /** The peers of a network, in the order in which they came. */
  peers(network: string): string[] {
    return [...(this.#networks.get(network)?.keys() ?? [])]
  }

  /** The same, for a session that is about to be sent this list: it is told of changes from here on. */
  listFor(session: M): string[] {
    this.#announcer.listed(session)
    return this.peers(session.network)
  }

  /** Every peer that is connected, once. */
  *everyone(): Generator<{ network: string; peer: string }> {
    for (const [network, peers] of this.#networks) for (const peer of peers.keys()) yield { network, peer }
  }

  *sessionsIn(network: string): Generator<M> {
    for (const sessions of this.#networks.get(network)?.values() ?? []) yield* sessions
  }

  /** Makes a session visible to senders and to the others in its network. */
  add(session: M): void {
    const { network, peer } = session
    let peers = this.#networks.get(network)
    if (peers === undefined) {
      peers = new Map()
      this.#networks.set(network, peers)
    }
    this.#size += 1
    this.#announcer.listed(session)
    const sessions = peers.get(peer)
    if (sessions !== undefined) sessions.push(session)
    else {
      peers.set(peer, [session])
      if (this.#isAlone) this.#announcer.changed(session, true, peers.size)
    }
  }

  /** Takes a session out; one that is not in it changes nothing. Returns how many of its peer are left. */
  remove(session: M): number {
    const { network, peer } = session
    const peers = this.#networks.get(network)
    const sessions = peers?.get(peer)
    const at = sessions?.indexOf(session) ?? -1
    if (peers === undefined || sessions === undefined || at === -1) return sessions?.length ?? 0
    sessions.splice(at, 1)
    this.#size -= 1
    if (sessions.length > 0) return sessions.length
    peers.delete(peer)
    if (peers.size === 0) this.#networks.delete(network)
    if (this.#isAlone) this.#announcer.changed(session, false, peers.size)
    return 0
  }

  /** A peer came to its first relay, or left its last one: those who are here are told. */
  announce(peer: Announced, isConnected: boolean): void {
    const network = this.#networks.get(peer.network)
    if (network !== undefined) this.#announcer.changed(peer, isConnected, network.size)
  }

  /** Announces nothing more. */
  close(): void {
    this.#announcer.close()
  }
}

const NONE: readonly never[] = []
