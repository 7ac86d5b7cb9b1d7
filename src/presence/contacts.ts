/** Contacts a peer has at most. */
export const MAX_CONTACTS = 256
/** Contacts of all peers together, and peers that have any. */
const MAX_PAIRS = 1_000_000
const MAX_PEERS = 250_000

/** The contacts of one peer, the longest unused first. */
interface Known {
  readonly network: string
  readonly peer: string
  readonly contacts: Set<string>
  /** The newest of them: a conversation of two writes nothing. */
  newest: string | undefined
  /** Was a message exchanged since it was last looked at for removal? */
  isUsed: boolean
}

/**
 * Who exchanged messages with whom, in networks too large to tell everybody of everybody. Bounded: a peer forgets the
 * contact it used longest ago, and past the bounds of all, peers that exchanged nothing lately forget all of theirs.
 */
export class Contacts {
  readonly #networks = new Map<string, Map<string, Known>>()
  readonly #all = new Set<Known>()
  /** Goes round all of them, for removal. Kept: a new iterator would pass what was deleted at the front each time. */
  #hand = this.#all.values()
  readonly #maxPairs: number
  readonly #maxPeers: number
  #pairs = 0

  constructor(maxPairs = MAX_PAIRS, maxPeers = MAX_PEERS) {
    this.#maxPairs = maxPairs
    this.#maxPeers = maxPeers
  }

  /** Contacts of all peers together. */
  get pairs(): number {
    return this.#pairs
  }

  /** A message went from one of these to the other. */
  met(network: string, a: string, b: string): void {
    let peers = this.#networks.get(network)
    if (peers === undefined) {
      peers = new Map()
      this.#networks.set(network, peers)
    }
    const one = peers.get(a) ?? this.#newcomer(peers, network, a)
    const other = peers.get(b) ?? this.#newcomer(peers, network, b)
    // By the one text that is kept of each name.
    this.#note(one, other.peer)
    this.#note(other, one.peer)
    while (this.#pairs > this.#maxPairs || this.#all.size > this.#maxPeers) this.#forgetOne()
  }

  /** Who is to be told of this peer; the longest unused first. */
  of(network: string, peer: string): Iterable<string> {
    return this.#networks.get(network)?.get(peer)?.contacts ?? []
  }

  #newcomer(peers: Map<string, Known>, network: string, peer: string): Known {
    const known: Known = { network, peer, contacts: new Set(), newest: undefined, isUsed: true }
    peers.set(peer, known)
    this.#all.add(known)
    return known
  }

  #note(known: Known, contact: string): void {
    known.isUsed = true
    if (known.newest === contact) return
    known.newest = contact
    if (!known.contacts.delete(contact)) this.#pairs += 1
    known.contacts.add(contact)
    if (known.contacts.size <= MAX_CONTACTS) return
    known.contacts.delete(known.contacts.values().next().value!)
    this.#pairs -= 1
  }

  /** Second chance: who exchanged something since the last round is forgotten at the next one at the earliest. */
  #forgetOne(): void {
    let next = this.#hand.next()
    if (next.done) {
      this.#hand = this.#all.values()
      next = this.#hand.next()
    }
    const known: Known = next.value!
    if (known.isUsed) {
      known.isUsed = false
      return
    }
    this.#all.delete(known)
    this.#pairs -= known.contacts.size
    const peers = this.#networks.get(known.network)!
    peers.delete(known.peer)
    if (peers.size === 0) this.#networks.delete(known.network)
  }
}
