import type { CloseReason } from '../protocol/close-codes.ts'
import { encodeTextFrames } from '../session/text-frames.ts'

/** A peer that came or left. */
export interface Announced {
  readonly network: string
  readonly peer: string
  /** The frame that tells the others in its network that it joined or left; undefined: they are not told. */
  announcement(change: 'joined' | 'left'): string | undefined
}

/** A registered session, as presence needs it: one of those of a peer. */
export interface Present extends Announced {
  readonly session: { notify(frames: Buffer): void; close(reason: CloseReason): void }
  /** Where in the order of changes it was last given a list of peers, see `Announcer`. */
  listedAt: number
}

/** What happened to one peer since the last announcement. */
interface Change {
  /** Was it connected before the first of them? */
  readonly wasConnected: boolean
  /** When it came or left, one after the other: points of the order of changes. */
  readonly changedAt: number[]
  readonly peer: Announced
}

interface Pending {
  readonly changes: Map<string, Change>
  readonly timer: NodeJS.Timeout
}

/** How long changes in a network are collected, in ms: at least, for each peer in it, and at most. */
const LEAST_MS = 50
const MS_PER_PEER = 0.25
const MOST_MS = 1_000
/** Sessions told at once, before the event loop handles other work. */
const FAN_OUT_SLICE = 256

/**
 * Tells peers who joined and who left. Changes are collected for a moment, then each session is told what differs from
 * the last list of peers it was given (its reply to `register` or `discover`): nothing of a peer that left and came back
 * in between, unless the session's list was made while that peer was away.
 */
export class Announcer<M extends Present> {
  readonly #listeners: (network: string) => Iterable<M>
  readonly #leastMs: number
  readonly #pending = new Map<string, Pending>()
  /** Counts changes and lists: their order. */
  #order = 0

  constructor(listeners: (network: string) => Iterable<M>, leastMs = LEAST_MS) {
    this.#listeners = listeners
    this.#leastMs = leastMs
  }

  /** A session is given a list of the peers of its network now: it is told what changes after this. */
  listed(session: M): void {
    this.#order += 1
    session.listedAt = this.#order
  }

  /** The first session of a peer came, or its last one left. `networkSize`: peers in the network. */
  changed(peer: Announced, isConnected: boolean, networkSize: number): void {
    const pending = this.#pending.get(peer.network) ?? this.#await(peer.network, networkSize)
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
  }

  /** Changes are collected for longer in a larger network: each announcement costs a frame for every session in it. */
  #await(network: string, networkSize: number): Pending {
    const ms = Math.max(this.#leastMs, Math.min(networkSize * MS_PER_PEER, MOST_MS))
    const pending = { changes: new Map<string, Change>(), timer: setTimeout(() => this.#announce(network), ms) }
    this.#pending.set(network, pending)
    return pending
  }

  #announce(network: string): void {
    const changes = [...this.#pending.get(network)!.changes.values()]
    this.#pending.delete(network)
    this.#tell([...this.#listeners(network)], this.#newsOf(changes))
  }

  /** Frames are made once, and those for sessions whose lists are older than every change are encoded once. */
  #newsOf(changes: readonly Change[]): News {
    const frames = changes.map((change) => ({
      change,
      joined: change.peer.announcement('joined'),
      left: change.peer.announcement('left')
    }))
    const before = frames.flatMap(({ change, joined, left }) => frameFor(change, 0, joined, left) ?? [])
    return {
      frames,
      first: Math.min(...changes.map(({ changedAt }) => changedAt[0]!)),
      peers: new Set(changes.map(({ peer }) => peer.peer)),
      shared: before.length === 0 ? undefined : encodeTextFrames(before)
    }
  }

  /** In slices, so that a large network does not hold up its messages. */
  #tell(sessions: readonly M[], news: News): void {
    for (const session of sessions.slice(0, FAN_OUT_SLICE)) {
      const { listedAt } = session
      if (listedAt < news.first && !news.peers.has(session.peer)) {
        if (news.shared !== undefined) session.session.notify(news.shared)
        continue
      }
      const own = news.frames.flatMap(({ change, joined, left }) =>
        change.peer.peer === session.peer ? [] : (frameFor(change, listedAt, joined, left) ?? [])
      )
      if (own.length > 0) session.session.notify(encodeTextFrames(own))
    }
    if (sessions.length > FAN_OUT_SLICE) setImmediate(() => this.#tell(sessions.slice(FAN_OUT_SLICE), news))
  }
}

interface News {
  readonly frames: readonly {
    readonly change: Change
    readonly joined: string | undefined
    readonly left: string | undefined
  }[]
  /** The first of all changes. */
  readonly first: number
  readonly peers: ReadonlySet<string>
  /** For sessions whose list is older than that. */
  readonly shared: Buffer | undefined
}

const isNow = ({ wasConnected, changedAt }: Pick<Change, 'wasConnected' | 'changedAt'>) =>
  wasConnected !== (changedAt.length % 2 === 1)

/** What a session whose list was made at `listedAt` has to be told of a peer: its list, against how it is now. */
function frameFor(
  { wasConnected, changedAt }: Change,
  listedAt: number,
  joined: string | undefined,
  left: string | undefined
): string | undefined {
  // Where joining is not announced, clients keep no list: all sessions that were there before are told who left.
  if (joined === undefined)
    return changedAt.length % 2 === Number(wasConnected) && changedAt.at(-1)! > listedAt ? left : undefined
  const after = changedAt.findIndex((at) => at > listedAt)
  const seen = after === -1 ? changedAt.length : after
  const isConnected = isNow({ wasConnected, changedAt })
  const listed = wasConnected !== (seen % 2 === 1)
  if (listed === isConnected) return undefined
  return isConnected ? joined : left
}
