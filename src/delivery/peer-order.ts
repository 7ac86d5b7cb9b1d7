import { compareNames, startsWith } from '../presence/names.ts'
import type { Registry } from '../presence/registry.ts'
import type { PeerName } from '../store/session-place.ts'
import type { Member } from './member.ts'

/** What the peers of this relay can be sorted by. */
export const PEER_ORDERS = ['name', 'since', 'round-trip', 'unreceipted', 'buffered', 'sessions'] as const
export type PeerOrder = (typeof PEER_ORDERS)[number]

/** What peers are sorted by; -1: not known, which comes first. */
const VALUES: Readonly<Record<PeerOrder, (members: readonly Member[]) => number>> = {
  name: () => 0,
  since: (members) => Math.min(...members.map(({ session }) => session.connectedAt)),
  'round-trip': (members) => Math.max(...members.map(({ roundTripMs }) => roundTripMs ?? -1)),
  unreceipted: (members) => members.reduce((sum, { delivery }) => sum + delivery.unreceipted.messages, 0),
  buffered: (members) => members.reduce((sum, { session }) => sum + session.writer.bufferedBytes, 0),
  sessions: (members) => members.length
}

export interface SortedPeer extends PeerName {
  readonly value: number
}

export interface PeerSort {
  readonly key: PeerOrder
  readonly isDescending: boolean
}

/** By value, equal ones by name; by name alone, descending turns the names round. */
export function peerOrder({ key, isDescending }: PeerSort): (a: SortedPeer, b: SortedPeer) => number {
  const direction = isDescending ? -1 : 1
  const byName = (a: PeerName, b: PeerName) => compareNames(a.network, b.network) || compareNames(a.peer, b.peer)
  if (key === 'name') return (a, b) => direction * byName(a, b)
  return (a, b) => direction * (a.value - b.value) || byName(a, b)
}

/** The peers of this relay that fit, in no order: every peer is looked at. */
export function peersWithValues(
  registry: Registry<Member>,
  { network, search }: { readonly network?: string | undefined; readonly search?: string | undefined },
  key: PeerOrder
): SortedPeer[] {
  return [...registry.everyone()]
    .filter((name) => (network === undefined || name.network === network) && startsWith(name.peer, search))
    .map((name) => ({ ...name, value: VALUES[key](registry.sessions(name.network, name.peer)) }))
}
