import type { Recipients } from '../delivery/mailbox.ts'
import type { Receipts } from '../delivery/receipts.ts'
import type { CloseReason } from '../protocol/close-codes.ts'
import type { Session } from '../session/session.ts'
import { encodeTextFrames } from '../session/text-frames.ts'
import type { QueueEntry } from '../store/queue-entry.ts'

/** One registered session: a peer that is here. */
export interface Member {
  readonly network: string
  readonly peer: string
  readonly session: Session
  readonly receipts: Receipts
}

/** What happened to one peer since the last announcement. */
interface Change {
  /** Was it here before the first of it? */
  readonly wasHere: boolean
  /** The session that came or went. */
  readonly member: Member
  /** Place of the last of it among all changes. */
  at: number
}

/** Something to tell those who were here before it. */
interface News {
  readonly peer: string
  readonly frame: string
  readonly at: number
}

/** How long comings and goings are collected in a network of many, in ms: for each peer that is here, and at most. */
const COALESCE_MS_PER_PEER = 0.25
const MOST_COALESCE_MS = 1_000
/** Sessions told in one go before others get their turn. */
const FAN_OUT_SLICE = 256

/**
 * Who is connected to this process, and the only place that knows it. Look-ups are O(1). Comings and goings are
 * announced together, a moment later: a peer that left and came back in between is not announced at all. One that came
 * and left is announced as gone, for whoever saw it meanwhile.
 */
export class Presence implements Recipients {
  readonly #coalesceMs: number
  readonly #networks = new Map<string, Map<string, Member[]>>()
  /** By network: which peers came or went since the last announcement, and when they are announced. */
  readonly #news = new Map<string, { readonly changes: Map<string, Change>; readonly timer: NodeJS.Timeout }>()
  /** Counts comings and goings: who came after a change has seen it in its own list of peers. */
  #order = 0
  readonly #since = new WeakMap<Member, number>()
  #size = 0

  constructor(coalesceMs = 50) {
    this.#coalesceMs = coalesceMs
  }

  /** Registered sessions in all networks. */
  get size(): number {
    return this.#size
  }

  members(network: string, peer: string): readonly Member[] {
    return this.#networks.get(network)?.get(peer) ?? []
  }

  /** The peers of a network, in the order in which they came. */
  peers(network: string): string[] {
    return [...(this.#networks.get(network)?.keys() ?? [])]
  }

  /** Every peer that is here, once. */
  *everyone(): Generator<{ network: string; peer: string }> {
    for (const [network, peers] of this.#networks) for (const peer of peers.keys()) yield { network, peer }
  }

  add(member: Member): void {
    const { network, peer } = member
    const peers = mapOf(this.#networks, network)
    const sessions = peers.get(peer)
    this.#size += 1
    this.#since.set(member, this.#order)
    if (sessions !== undefined) sessions.push(member)
    else {
      peers.set(peer, [member])
      this.#changed(member, false)
    }
  }

  remove(member: Member): void {
    const { network, peer } = member
    const peers = this.#networks.get(network)
    const sessions = peers?.get(peer)
    const at = sessions?.indexOf(member) ?? -1
    if (peers === undefined || sessions === undefined || at === -1) return
    sessions.splice(at, 1)
    this.#size -= 1
    if (sessions.length > 0) return
    peers.delete(peer)
    if (peers.size === 0) this.#networks.delete(network)
    this.#changed(member, true)
  }

  has(network: string, peer: string, keyId: string | null): boolean {
    return this.members(network, peer).some((member) => takes(member, keyId))
  }

  isOverrun(network: string, peer: string): boolean {
    return this.members(network, peer).some((member) => member.receipts.delivery.isOverrun)
  }

  offer(entry: QueueEntry): boolean {
    let offered = false
    for (const member of this.members(entry.network, entry.recipient)) {
      if (!takes(member, entry.keyId)) continue
      member.receipts.delivery.offer(entry)
      offered = true
    }
    return offered
  }

  recall(network: string, peer: string, keyId: string | null, seq: number): boolean {
    const members = this.members(network, peer).filter((member) => takes(member, keyId))
    for (const { receipts } of members) receipts.delivery.recall(seq)
    return members.length > 0
  }

  /** Sends entries that were withheld from the peer until now: their places in its mailbox, ascending. */
  free(network: string, peer: string, places: readonly number[]): void {
    for (const { receipts } of this.members(network, peer)) receipts.delivery.free(places)
  }

  /** A member that no longer speaks for its peer: sent nothing more, and out of sight at once. */
  dismiss(member: Member, reason: CloseReason): void {
    member.receipts.end(false)
    this.remove(member)
    member.session.close(reason)
  }

  /** Announces nothing more. */
  close(): void {
    for (const { timer } of this.#news.values()) clearTimeout(timer)
    this.#news.clear()
  }

  #changed(member: Member, wasHere: boolean): void {
    const { network, peer } = member
    const changes = (this.#news.get(network) ?? this.#awaitNews(network)).changes
    this.#order += 1
    const change = changes.get(peer)
    if (change === undefined) changes.set(peer, { wasHere, member, at: this.#order })
    else change.at = this.#order
  }

  /** The more there are to be told, the more they are told at once: a storm of arrivals is news for all who are here. */
  #awaitNews(network: string) {
    const peers = this.#networks.get(network)?.size ?? 0
    const ms = Math.max(this.#coalesceMs, Math.min(peers * COALESCE_MS_PER_PEER, MOST_COALESCE_MS))
    const news = { changes: new Map<string, Change>(), timer: setTimeout(() => this.#announce(network), ms) }
    this.#news.set(network, news)
    return news
  }

  #announce(network: string): void {
    const { changes } = this.#news.get(network)!
    this.#news.delete(network)
    const news: News[] = []
    for (const [peer, { wasHere, member, at }] of changes) {
      const isHere = this.members(network, peer).length > 0
      if (isHere && wasHere) continue
      const frame = member.session.protocol.announce(isHere ? 'joined' : 'left', member)
      if (frame !== undefined) news.push({ peer, frame, at })
    }
    if (news.length === 0) return
    const members = [...(this.#networks.get(network)?.values() ?? [])].flat()
    this.#fanOut(members, { news, all: encodeTextFrames(news.map(({ frame }) => frame)) })
  }

  /** Tells everybody what happened since they came, in slices, so that a large network does not hold up its messages. */
  #fanOut(members: readonly Member[], { news, all }: { news: readonly News[]; all: Buffer }): void {
    const peers = new Set(news.map(({ peer }) => peer))
    const first = Math.min(...news.map(({ at }) => at))
    for (const member of members.slice(0, FAN_OUT_SLICE)) {
      const since = this.#since.get(member) ?? 0
      if (since < first && !peers.has(member.peer)) member.session.notify(all)
      else {
        const own = news.filter(({ peer, at }) => peer !== member.peer && since < at)
        if (own.length > 0) member.session.notify(encodeTextFrames(own.map(({ frame }) => frame)))
      }
    }
    if (members.length > FAN_OUT_SLICE) setImmediate(() => this.#fanOut(members.slice(FAN_OUT_SLICE), { news, all }))
  }
}

/** The inner map under a key, made where there is none. */
function mapOf<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let map = maps.get(key)
  if (map === undefined) {
    map = new Map()
    maps.set(key, map)
  }
  return map
}

function takes(member: Member, keyId: string | null): boolean {
  return keyId === null || keyId === member.receipts.delivery.route.keyId
}
