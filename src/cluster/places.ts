import { batched } from '../database/batched.ts'
import type { Database } from '../database/database.ts'
import type { Member } from '../delivery/member.ts'
import type { Box, HeldPlace, Places } from '../delivery/places.ts'
import type { Registry } from '../presence/registry.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'
import {
  enterPlaces,
  expelPlace,
  findPlaces,
  leavePlaces,
  type PeerName,
  type Place,
  placesOf
} from '../store/session-place.ts'
import type { BatchFailure } from '../util/batcher.ts'
import type { Log } from '../util/log.ts'
import type { SharedReleases } from './shared-releases.ts'

/** A peer of this relay. */
interface LocalPeer extends PeerName {
  keyId: string | null
  /** What the others call it; undefined: it has not been announced to them. */
  name: string | undefined
  /** Its sessions here, those that are being registered included. */
  sessions: number
  /** Shared by its sessions: its epoch is that of the last registration, or of the last time the relay entered anew. */
  readonly place: { relay: string; epoch: number }
  /** It came here first: it is announced once it is registered. */
  isNew: boolean
}

export interface ClusterPlacesOptions {
  readonly database: Database
  readonly relay: string
  readonly registry: Registry<Member>
  readonly shared: SharedReleases
  /** Most sessions of one peer of an L2PS, in all relays. */
  readonly sessionsPerPeer: number
  /** Asks another relay whether the socket of a client id answers; false: it does not, or the relay does not. */
  readonly isAliveAt: (place: Place) => Promise<boolean>
  /** What is not committed at a place of a mailbox up to this one never will be. */
  readonly settledTo: () => number
  /** A peer came to its first relay, or left its last one. */
  readonly announce: (peer: PeerName, name: string, isConnected: boolean) => void
  readonly log: Log
}

/** How often a name whose holder gives way is tried for, before it counts as taken. */
const TRIES = 4
/** How long after its registration the messages of a peer that came from another relay are read from mailboxes, in ms. */
const MOVED_MS = 10_000
/** Peers that are entered anew in one statement. */
const REENTER_PEERS = 256

const keyOf = ({ network, peer }: PeerName) => `${network} ${peer}`

/**
 * The places of this relay's peers. A place is a row in Postgres: there a client id has at most one, and its epoch tells
 * whether a socket still has it.
 */
export class ClusterPlaces implements Places {
  readonly #options: ClusterPlacesOptions
  readonly #peers = new Map<string, LocalPeer>()
  readonly #enter: (peer: LocalPeer) => Promise<Entered | BatchFailure>
  readonly #leave: (peer: LocalPeer & { readonly owedSeq?: number | undefined }) => Promise<boolean | BatchFailure>
  /** Peers whose leave could not be written. */
  readonly #owed = new Map<string, LocalPeer>()
  /**
   * Until when (ms, monotonic) messages that a peer sent by way of another relay may still be on their way, though it left
   * and came back here meanwhile. In the order of those times.
   */
  readonly #movedUntil = new Map<string, number>()

  constructor(options: ClusterPlacesOptions) {
    const { database, relay, log } = options
    this.#options = options
    this.#enter = batched({
      database,
      work: async (sql, peers: readonly LocalPeer[]) => {
        const entries = [...new Set(peers)].map(({ network, peer, keyId, sessions }) => ({
          network,
          peer,
          keyId,
          sessions
        }))
        const entered = await enterPlaces(sql, relay, entries)
        const places = byPeer(entered.places)
        const moved = new Set(entered.moved.map(keyOf))
        return peers.map((peer) => ({ places: places.get(keyOf(peer)) ?? [], hasMoved: moved.has(keyOf(peer)) }))
      },
      failed: (error, peers) => log.warn({ err: error, peers }, 'places of peers not taken')
    })
    this.#leave = batched({
      database,
      work: (sql, peers: readonly (LocalPeer & { readonly owedSeq?: number | undefined })[]) =>
        leavePlaces(
          sql,
          relay,
          peers.map(({ network, peer, place, sessions, owedSeq }) => ({
            network,
            peer,
            epoch: place.epoch,
            sessions,
            owedSeq
          }))
        ),
      failed: (error, peers) => log.warn({ err: error, peers }, 'places of peers not given up, will try again')
    })
  }

  async enter({ network, recipient, keyId }: Box): Promise<HeldPlace | 'taken' | 'too-many' | BatchFailure> {
    const peer = this.#open(network, recipient, keyId)
    const outcome = await this.#tryToEnter(peer).catch(() => 'unavailable' as const)
    if (typeof outcome === 'string') void this.#close(peer, undefined).catch(() => {})
    return outcome
  }

  async #tryToEnter(peer: LocalPeer): Promise<HeldPlace | 'taken' | 'too-many' | BatchFailure> {
    const { database, relay, isAliveAt, sessionsPerPeer, log } = this.#options
    for (let tries = 0; tries < TRIES; tries++) {
      const entered = await this.#enter(peer)
      if (typeof entered === 'string') return entered
      const { places, hasMoved } = entered
      const own = places.find((place) => place.relay === relay)
      if (own !== undefined) {
        peer.place.epoch = own.epoch
        if (places.length > 1 || hasMoved) this.#moved(peer)
        if (places.length === 1 && peer.sessions === 1) peer.isNew = true
        const sessions = places.reduce((sum, place) => sum + place.sessions, 0)
        return peer.network !== SIGNALING_NETWORK && sessions > sessionsPerPeer ? 'too-many' : peer.place
      }
      const [holder] = places
      if (holder === undefined) continue
      if (await isAliveAt(holder)) return 'taken'
      log.info({ network: peer.network }, 'the place of a peer is taken over: its relay or its socket does not answer')
      await database.within(expelPlace(database.sql, holder))
      this.#moved(peer)
    }
    return 'taken'
  }

  async leave(
    { network, recipient }: Pick<Box, 'network' | 'recipient'>,
    lostSeq: number | undefined
  ): Promise<boolean> {
    const peer = this.#peers.get(keyOf({ network, peer: recipient }))
    return peer === undefined ? false : this.#close(peer, lostSeq)
  }

  /** A session that entered is registered. */
  joined({ network, peer, name }: PeerName & { readonly name: string }): void {
    const local = this.#peers.get(keyOf({ network, peer }))
    if (local === undefined) return
    local.name = name
    if (local.isNew) this.#options.announce(local, name, true)
    local.isNew = false
  }

  release(...release: Parameters<Places['release']>): void {
    this.#options.shared.release(...release)
  }

  settledTo(): number {
    return this.#options.settledTo()
  }

  /** The epoch of a peer's place here; undefined: it has none. */
  epochOf(network: string, peer: string): number | undefined {
    return this.#peers.get(keyOf({ network, peer }))?.place.epoch
  }

  /** Is a session of this peer being registered here? */
  isEntering(network: string, peer: string): boolean {
    const sessions = this.#peers.get(keyOf({ network, peer }))?.sessions ?? 0
    return sessions > this.#options.registry.sessions(network, peer).length
  }

  /** May messages that this peer sent by way of another relay still be on their way? */
  hasMoved(network: string, peer: string): boolean {
    const until = this.#movedUntil.get(keyOf({ network, peer }))
    return until !== undefined && until > performance.now()
  }

  #moved(peer: PeerName): void {
    const now = performance.now()
    for (const [key, until] of this.#movedUntil) {
      if (until > now) break
      this.#movedUntil.delete(key)
    }
    const key = keyOf(peer)
    this.#movedUntil.delete(key)
    this.#movedUntil.set(key, now + MOVED_MS)
  }

  /**
   * The lease of this relay ran out, or the database has forgotten its places: takes them again. A client id that
   * another relay has now is lost: its socket is closed. Rejects when the database does not answer.
   */
  async reenter(): Promise<void> {
    const peers = [...this.#peers.values()]
    for (let at = 0; at < peers.length; at += REENTER_PEERS) {
      await Promise.all(peers.slice(at, at + REENTER_PEERS).map((peer) => this.#reenter(peer)))
    }
  }

  async #reenter(peer: LocalPeer): Promise<void> {
    if (this.#peers.get(keyOf(peer)) !== peer) return
    const entered = await this.#enter(peer)
    if (typeof entered === 'string') throw new Error('the places of this relay were not taken again')
    const own = entered.places.find(({ relay }) => relay === this.#options.relay)
    if (own === undefined) this.lost(peer)
    else {
      peer.place.epoch = own.epoch
      for (const { delivery } of this.#options.registry.sessions(peer.network, peer.peer)) delivery.rereadAll()
    }
  }

  /** Another relay has the client id now. */
  lost({ network, peer }: PeerName): void {
    for (const member of [...this.#options.registry.sessions(network, peer)]) member.dismiss('replaced')
  }

  /** A client id seems to have no place here any more: Postgres is asked. What fails now is found by the next `compare`. */
  doubt(peer: PeerName): void {
    const local = this.#peers.get(keyOf(peer))
    if (local === undefined) return
    const { database, relay, log } = this.#options
    const before = this.#snapshot([local])
    database
      .within(findPlaces(database.sql, [peer]))
      .then((places) =>
        this.#reenterLost(
          before,
          places.filter((place) => place.relay === relay)
        )
      )
      .catch((error: unknown) => log.warn({ err: error }, 'the place of a peer was not looked up'))
  }

  /** Looks whether this relay's places are those that Postgres has for it. */
  async compare(): Promise<void> {
    const { database, relay } = this.#options
    const before = this.#snapshot(this.#peers.values())
    const rows = await database.within(placesOf(database.sql, relay))
    await this.#reenterLost(before, rows)
    for (const row of rows) {
      const key = keyOf(row)
      if (!this.#peers.has(key) && !this.#owed.has(key)) {
        this.#owed.set(key, emptyPeer(row, null, { relay, epoch: row.epoch }))
      }
    }
  }

  /** Peers that have a place now, with its epoch: a place was committed before its epoch was known here. */
  #snapshot(peers: Iterable<LocalPeer>): Map<LocalPeer, number> {
    return new Map([...peers].filter(({ place }) => place.epoch > 0).map((peer) => [peer, peer.place.epoch]))
  }

  /**
   * A place that is not there any more was taken over, or freed while this relay counted as dead; one with another epoch
   * was taken again without our hearing of it.
   */
  async #reenterLost(
    before: ReadonlyMap<LocalPeer, number>,
    rows: readonly (PeerName & { readonly epoch: number })[]
  ): Promise<void> {
    const held = new Map(rows.map((row) => [keyOf(row), row.epoch]))
    for (const [peer, epoch] of before) {
      const isSame = this.#peers.get(keyOf(peer)) === peer && peer.place.epoch === epoch
      if (isSame && held.get(keyOf(peer)) !== epoch) await this.#reenter(peer)
    }
  }

  /** Writes what could not be written before. */
  async settle(): Promise<void> {
    for (const [key, peer] of [...this.#owed]) {
      if (this.#peers.has(key)) this.#owed.delete(key)
      else if (typeof (await this.#leave(peer)) !== 'string') this.#owed.delete(key)
      else return
    }
  }

  #open(network: string, peer: string, keyId: string | null): LocalPeer {
    const key = keyOf({ network, peer })
    const known = this.#peers.get(key)
    const place = { relay: this.#options.relay, epoch: 0 }
    const local = known ?? emptyPeer({ network, peer }, keyId, place)
    local.keyId = keyId
    local.sessions += 1
    this.#peers.set(key, local)
    return local
  }

  async #close(peer: LocalPeer, lostSeq: number | undefined): Promise<boolean> {
    const key = keyOf(peer)
    peer.sessions -= 1
    const isLast = peer.sessions === 0
    if (isLast && this.#peers.get(key) === peer) this.#peers.delete(key)
    if (peer.place.epoch === 0) return false // it never had a place
    const isAway = await this.#leave({ ...peer, owedSeq: isLast ? lostSeq : undefined })
    if (typeof isAway === 'string') {
      if (isLast) this.#owed.set(key, peer)
      throw new Error('the place was not given up yet')
    }
    if (isAway && isLast && peer.name !== undefined) this.#options.announce(peer, peer.name, false)
    return isAway
  }
}

const emptyPeer = ({ network, peer }: PeerName, keyId: string | null, place: LocalPeer['place']): LocalPeer => ({
  network,
  peer,
  keyId,
  name: undefined,
  sessions: 0,
  isNew: false,
  place
})

/** What entering came to. */
interface Entered {
  readonly places: readonly Place[]
  /** It was at another relay a moment ago. */
  readonly hasMoved: boolean
}

function byPeer(places: readonly Place[]): Map<string, Place[]> {
  const found = new Map<string, Place[]>()
  for (const place of places) {
    const known = found.get(keyOf(place))
    if (known === undefined) found.set(keyOf(place), [place])
    else known.push(place)
  }
  return found
}
