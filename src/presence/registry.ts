import { Announcer } from './announcer.ts'
import { Contacts } from './contacts.ts'
import { Names, type Page, type PageOfPeers } from './names.ts'
import type { Announced, Present } from './news.ts'

export type { Page, PageOfPeers } from './names.ts'
export type { Announced, Present } from './news.ts'

export interface RegistryOptions {
  /** How long changes are collected at least, in ms. */
  readonly coalesceMs?: number | undefined
  /** Peers in a network above which only contacts are told who joined and left. */
  readonly fanOutPeers?: number | undefined
  readonly isAlone?: boolean
}

interface Network<M> {
  readonly peers: Map<string, M[]>
  readonly names: Names
}

/**
 * Who is connected to this process, and the only place that knows it. A peer is connected from `add` of its first session
 * to `remove` of its last. Look-ups are O(1), a page of peers takes O(log n) and what is on it.
 */
export class Registry<M extends Present> {
  readonly #networks = new Map<string, Network<M>>()
  readonly #contacts = new Contacts()
  readonly #announcer: Announcer<M>
  readonly #contactsFrom: number
  /** In a cluster another relay may have sessions of a peer, too: who came and who left is said by `announce`. */
  readonly #isAlone: boolean
  #size = 0

  constructor({ coalesceMs, fanOutPeers = Number.POSITIVE_INFINITY, isAlone = true }: RegistryOptions = {}) {
    this.#isAlone = isAlone
    this.#announcer = new Announcer(this, this.#contacts, { coalesceMs, fanOutPeers })
    this.#contactsFrom = fanOutPeers / 2 // so that they are known when the network is too large
  }

  /** Registered sessions in all networks. */
  get size(): number {
    return this.#size
  }

  /** The sessions of a peer; empty: it is away. */
  sessions(network: string, peer: string): readonly M[] {
    return this.#networks.get(network)?.peers.get(peer) ?? NONE
  }

  /** How many peers of a network are connected. */
  peerCount(network: string): number {
    return this.#networks.get(network)?.peers.size ?? 0
  }

  /** Connected peers of a network, in the order of their names. */
  page(network: string, page: PageOfPeers): Page {
    return this.#networks.get(network)?.names.page(page) ?? { peers: [], hasMore: false }
  }

  /** The networks in which anybody is connected. */
  networks(): Iterable<string> {
    return this.#networks.keys()
  }

  /** A moment in the order of changes: take it before a list is asked for, and hand it to `listed`. */
  moment(): number {
    return this.#announcer.moment
  }

  /** A session is sent a list of the peers of its network as they were at `moment`; `isWhole`: nobody is left out. */
  listed(session: M, moment: number, isWhole: boolean): void {
    this.#announcer.listed(session, moment, isWhole)
  }

  /** Every peer that is connected, once. */
  *everyone(): Generator<{ network: string; peer: string }> {
    for (const [network, { peers }] of this.#networks) for (const peer of peers.keys()) yield { network, peer }
  }

  *sessionsIn(network: string): Generator<M> {
    for (const sessions of this.#networks.get(network)?.peers.values() ?? []) yield* sessions
  }

  /** Makes a session visible to senders and to the others in its network. */
  add(session: M): void {
    const { network, peer } = session
    let found = this.#networks.get(network)
    if (found === undefined) {
      found = { peers: new Map(), names: new Names() }
      this.#networks.set(network, found)
    }
    this.#size += 1
    this.#announcer.listed(session, this.#announcer.moment, true)
    const sessions = found.peers.get(peer)
    if (sessions !== undefined) sessions.push(session)
    else {
      found.peers.set(peer, [session])
      found.names.add(peer)
      if (this.#isAlone) this.#announcer.changed(session, true, found.peers.size)
    }
  }

  /** Takes a session out; one that is not in it changes nothing. Returns how many of its peer are left. */
  remove(session: M): number {
    const { network, peer } = session
    const found = this.#networks.get(network)
    const sessions = found?.peers.get(peer)
    const at = sessions?.indexOf(session) ?? -1
    if (found === undefined || sessions === undefined || at === -1) return sessions?.length ?? 0
    sessions.splice(at, 1)
    this.#size -= 1
    if (sessions.length > 0) return sessions.length
    found.peers.delete(peer)
    found.names.delete(peer)
    if (found.peers.size === 0) this.#networks.delete(network)
    if (this.#isAlone) this.#announcer.changed(session, false, found.peers.size)
    return 0
  }

  /** A peer came to its first relay, or left its last one: those who are here are told. */
  announce(peer: Announced, isConnected: boolean): void {
    const found = this.#networks.get(peer.network)
    if (found !== undefined) this.#announcer.changed(peer, isConnected, found.peers.size)
  }

  /** A message went from one of these peers to the other: in a large network they are told of each other. */
  met(network: string, a: string, b: string): void {
    if (this.peerCount(network) > this.#contactsFrom) this.#contacts.met(network, a, b)
  }

  /** Announces nothing more. */
  close(): void {
    this.#announcer.close()
  }
}

const NONE: readonly never[] = []
