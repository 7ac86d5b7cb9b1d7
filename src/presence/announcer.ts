import { Slices } from '../util/slices.ts'
import type { Contacts } from './contacts.ts'
import { type Announced, type Change, frameFor, isNow, type News, newsOf, type Present, sharedFrames } from './news.ts'

/** Who may be told: the registry. */
interface Audience<M> {
  sessions(network: string, peer: string): readonly M[]
  sessionsIn(network: string): Iterable<M>
  peerCount(network: string): number
}

export interface AnnouncerOptions {
  readonly coalesceMs: number | undefined
  readonly fanOutPeers: number
}

interface Pending {
  readonly changes: Map<string, Change>
  timer: NodeJS.Timeout
  waitedMs: number
  /** Changes that came since the timer was set. */
  came: number
}

/** How long changes in a network are collected, in ms: at least, for each peer in it, and at most. */
const LEAST_MS = 50
const MS_PER_PEER = 0.25
const MOST_MS = 1_000
/** As long as so many come in the least time, they are collected on: who returns after a restart is answered first, and told then. */
const STORM_CHANGES = 16

/**
 * Tells peers who joined and who left. Changes are collected for a moment, then each session is told what differs from
 * the last list of peers it was given (its reply to `register` or `discover`): nothing of a peer that left and came back
 * in between, unless the session's list was made while that peer was away. Who was given a part of a list is told how
 * every peer is that changed since the last whole one: the part may show it otherwise than the whole.
 *
 * In a network of more than `fanOutPeers` peers only those are told that exchanged messages with the peer.
 *
 *     nothing ──changed──► collecting ──timer──► telling, in slices ──done──► nothing
 *                           ▲     │
 *                           └timer┘ very many came, and not for too long
 *
 * What changes while a network is told of earlier changes is collected until that is done.
 */
export class Announcer<M extends Present> {
  readonly #audience: Audience<M>
  readonly #contacts: Pick<Contacts, 'of'>
  readonly #coalesceMs: number
  readonly #fanOutPeers: number
  readonly #pending = new Map<string, Pending>()
  /** Networks that are being told. */
  readonly #telling = new Set<string>()
  readonly #slices = new Slices()
  /** Counts changes and lists: their order. */
  #order = 0

  constructor(audience: Audience<M>, contacts: Pick<Contacts, 'of'>, { coalesceMs, fanOutPeers }: AnnouncerOptions) {
    this.#audience = audience
    this.#contacts = contacts
    this.#coalesceMs = coalesceMs ?? LEAST_MS
    this.#fanOutPeers = fanOutPeers
  }

  /** Now, in the order of changes. */
  get moment(): number {
    this.#order += 1
    return this.#order
  }

  /** A session is given a list of the peers of its network as they were at `moment`: it is told what changes after. */
  listed(session: M, moment: number, isWhole: boolean): void {
    session.hasPart = !isWhole
    session.listedAt = isWhole ? moment : Math.min(session.listedAt, moment)
  }

  /** The first session of a peer came, or its last one left. `networkSize`: peers in the network. */
  changed(peer: Announced, isConnected: boolean, networkSize: number): void {
    const pending = this.#pending.get(peer.network) ?? this.#await(peer.network, networkSize)
    pending.came += 1
    this.#order += 1
    const change = pending.changes.get(peer.peer)
    if (change === undefined)
      pending.changes.set(peer.peer, { wasConnected: !isConnected, changedAt: [this.#order], peer })
    else if (isNow(change) !== isConnected) change.changedAt.push(this.#order) // two relays may say the same
  }

  /** Announces nothing more. */
  close(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer)
    this.#pending.clear()
    this.#slices.close()
  }

  /** Changes are collected for longer in a larger network: each announcement costs a frame for every session in it. */
  #await(network: string, networkSize: number): Pending {
    const ms = Math.max(this.#coalesceMs, Math.min(networkSize * MS_PER_PEER, MOST_MS))
    const timer = setTimeout(() => this.#due(network), ms)
    const pending = { changes: new Map<string, Change>(), timer, waitedMs: ms, came: 0 }
    this.#pending.set(network, pending)
    return pending
  }

  #due(network: string): void {
    const pending = this.#pending.get(network)!
    if (this.#telling.has(network) || (pending.came >= STORM_CHANGES && pending.waitedMs < MOST_MS)) {
      pending.came = 0
      pending.waitedMs += this.#coalesceMs
      pending.timer = setTimeout(() => this.#due(network), this.#coalesceMs)
    } else {
      this.#pending.delete(network)
      this.#telling.add(network)
      this.#slices.run(this.#tell(network, pending.changes))
    }
  }

  *#tell(network: string, changes: ReadonlyMap<string, Change>): Generator<void> {
    try {
      const isLarge = Math.max(this.#audience.peerCount(network), changes.size) > this.#fanOutPeers
      yield* isLarge ? this.#tellContacts(network, changes.values()) : this.#tellAll(network, changes)
    } finally {
      this.#telling.delete(network)
    }
  }

  *#tellAll(network: string, changes: ReadonlyMap<string, Change>): Generator<void> {
    const news: News[] = []
    let first = Number.POSITIVE_INFINITY
    for (const change of changes.values()) {
      first = Math.min(first, change.changedAt[0]!)
      news.push(newsOf(change))
      yield
    }
    // Encoded once for those whose lists are older than every change.
    const shared = { whole: sharedFrames(news, false), part: sharedFrames(news, true) }
    for (const session of [...this.#audience.sessionsIn(network)]) {
      const isOlder = session.listedAt < first && !changes.has(session.peer)
      const frames = isOlder ? shared[session.hasPart ? 'part' : 'whole'] : ownFrames(news, session)
      if (frames.length > 0) session.session.notify(frames)
      yield
    }
  }

  *#tellContacts(network: string, changes: Iterable<Change>): Generator<void> {
    const framesOf = new Map<M, Buffer[]>()
    for (const change of changes) {
      let news: News | undefined
      for (const contact of this.#contacts.of(network, change.peer.peer)) {
        for (const session of this.#audience.sessions(network, contact)) {
          news ??= newsOf(change)
          const frame = frameFor(news, session.listedAt, session.hasPart)
          if (frame === undefined) continue
          const frames = framesOf.get(session)
          if (frames === undefined) framesOf.set(session, [frame])
          else frames.push(frame)
        }
      }
      yield
    }
    for (const [{ session }, frames] of framesOf) {
      session.notify(Buffer.concat(frames))
      yield
    }
  }
}

function ownFrames<M extends Present>(news: readonly News[], { peer, listedAt, hasPart }: M): Buffer {
  const frames: Buffer[] = []
  for (const each of news) {
    const frame = each.change.peer.peer === peer ? undefined : frameFor(each, listedAt, hasPart)
    if (frame !== undefined) frames.push(frame)
  }
  return Buffer.concat(frames)
}
