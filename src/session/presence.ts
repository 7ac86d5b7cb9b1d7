import type { Delivery } from '../mailbox/delivery.ts'
import type { Recipients } from '../mailbox/mailbox.ts'
import type { CloseReason } from '../protocol/close-codes.ts'
import type { QueueEntry } from '../store/queue-entry.ts'
import type { Session, SessionProtocol } from './session.ts'

/** One registered session: a peer that is here. */
export interface Member {
  readonly network: string
  readonly peer: string
  readonly session: Session
  readonly delivery: Delivery
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
  /** By network: what happened to which peer, and was it here before? */
  readonly #changes = new Map<string, Map<string, { wasHere: boolean; protocol: SessionProtocol }>>()
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
    return this.members(network, peer).some((member) => member.delivery.isOverrun)
  }

  offer(entry: QueueEntry): boolean {
    let offered = false
    for (const member of this.members(entry.network, entry.recipient)) {
      if (!takes(member, entry.keyId)) continue
      member.delivery.offer(entry)
      offered = true
    }
    return offered
  }

  /** A member that no longer speaks for its peer: sent nothing more, and out of sight at once. */
  dismiss(member: Member, reason: CloseReason): void {
    member.delivery.stop()
    this.remove(member)
    member.session.close(reason)
  }

  /** Announces nothing more. */
  close(): void {
    clearTimeout(this.#timer)
    this.#changes.clear()
  }

  #changed({ network, peer, session }: Member, wasHere: boolean): void {
    const changes = mapOf(this.#changes, network)
    if (!changes.has(peer)) changes.set(peer, { wasHere, protocol: session.protocol })
    this.#timer ??= setTimeout(() => this.#announce(), this.#coalesceMs)
  }

  #announce(): void {
    this.#timer = undefined
    for (const [network, changes] of this.#changes) {
      const news: { peer: string; frame: string }[] = []
      for (const [peer, { wasHere, protocol }] of changes) {
        const isHere = this.members(network, peer).length > 0
        if (isHere && wasHere) continue
        const frame = protocol.announce(isHere ? 'joined' : 'left', peer)
        if (frame !== undefined) news.push({ peer, frame })
      }
      if (news.length > 0) fanOut([...(this.#networks.get(network)?.values() ?? [])].flat(), news)
    }
    this.#changes.clear()
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
  return keyId === null || keyId === member.delivery.route.keyId
}

/** Tells everybody the news but the one it is about, in slices, so that a large network does not hold up its messages. */
function fanOut(members: readonly Member[], news: readonly { peer: string; frame: string }[]): void {
  for (const member of members.slice(0, FAN_OUT_SLICE)) {
    for (const { peer, frame } of news) if (peer !== member.peer) member.session.notify(frame)
  }
  if (members.length > FAN_OUT_SLICE) setImmediate(fanOut, members.slice(FAN_OUT_SLICE), news)
}
