import type { Recipients } from '../mailbox/mailbox.ts'
import type { CloseReason } from '../protocol/close-codes.ts'
import type { QueueEntry } from '../store/queue-entry.ts'
import type { Receipts } from './receipts.ts'
import type { Session } from './session.ts'

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
  /** By network: which peers came or went since the last announcement. */
  readonly #changes = new Map<string, Map<string, Change>>()
  /** Counts comings and goings: who came after a change has seen it in its own list of peers. */
  #order = 0
  readonly #since = new WeakMap<Member, number>()
  #timer: NodeJS.Timeout | undefined
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

  /** A member that no longer speaks for its peer: sent nothing more, and out of sight at once. */
  dismiss(member: Member, reason: CloseReason): void {
    member.receipts.end(false)
    this.remove(member)
    member.session.close(reason)
  }

  /** Announces nothing more. */
  close(): void {
    clearTimeout(this.#timer)
    this.#changes.clear()
  }

  #changed(member: Member, wasHere: boolean): void {
    const changes = mapOf(this.#changes, member.network)
    const { peer } = member
    this.#order += 1
    const change = changes.get(peer)
    if (change === undefined) changes.set(peer, { wasHere, member, at: this.#order })
    else change.at = this.#order
    this.#timer ??= setTimeout(() => this.#announce(), this.#coalesceMs)
  }

  #announce(): void {
    this.#timer = undefined
    for (const [network, changes] of this.#changes) {
      const news: News[] = []
      for (const [peer, { wasHere, member, at }] of changes) {
        const isHere = this.members(network, peer).length > 0
        if (isHere && wasHere) continue
        const frame = member.session.protocol.announce(isHere ? 'joined' : 'left', member)
        if (frame !== undefined) news.push({ peer, frame, at })
      }
      if (news.length > 0) this.#fanOut([...(this.#networks.get(network)?.values() ?? [])].flat(), news)
    }
    this.#changes.clear()
  }

  /** Tells everybody what happened since they came, in slices, so that a large network does not hold up its messages. */
  #fanOut(members: readonly Member[], news: readonly News[]): void {
    for (const member of members.slice(0, FAN_OUT_SLICE)) {
      const since = this.#since.get(member) ?? 0
      for (const { peer, frame, at } of news) {
        if (peer !== member.peer && since < at) member.session.notify(frame)
      }
    }
    if (members.length > FAN_OUT_SLICE) setImmediate(() => this.#fanOut(members.slice(FAN_OUT_SLICE), news))
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
