// The connected peers, page by page: of this process, or of all relays of a cluster.
import { Type } from '@sinclair/typebox'
import type { PeerDetails, PeerDirectory, SortedAtRelay } from '../../src/cluster/peer-directory.ts'
import type { Member } from '../../src/delivery/member.ts'
import { PEER_ORDERS, peerOrder, peersWithValues, type SortedPeer } from '../../src/delivery/peer-order.ts'
import { factsOf, type SessionFacts } from '../../src/delivery/session-facts.ts'
import { compareNames, lowered } from '../../src/presence/names.ts'
import type { Registry } from '../../src/presence/registry.ts'
import type { PeerName } from '../../src/store/session-place.ts'
import { inTime, type Page, placeOf, readPage, refuseOtherOrder, sortedPlace, sortOf, totalInTime } from './requests.ts'

export interface PeersAsked {
  readonly network?: string | undefined
  readonly search?: string | undefined
  /** Name or id. */
  readonly relay?: string | undefined
  readonly sort?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ShownPeer extends PeerName {
  sessions: (SessionFacts & { readonly relay?: string; readonly relayId?: string })[]
  /** In a cluster. */
  relays?: { id: string; name: string; sessions: number }[]
  unanswered?: boolean
}

export interface PeersFound {
  peers: ShownPeer[]
  nextCursor: string | null
  total: number | null
  /** Relays that did not answer, whose peers are missing. */
  unanswered?: string[]
}

/** Where the administration finds connected peers. */
export interface PeerLists {
  list(query: PeersAsked): Promise<PeersFound>
  /** Undefined: it is not connected. */
  find(name: PeerName): Promise<ShownPeer | undefined>
  close(name: PeerName): Promise<{ closed: number; unanswered?: string[] }>
}

/** Those of this process, which is alone. */
export function localPeers(presence: Registry<Member>, relayName: string): PeerLists {
  const shown = ({ network, peer }: PeerName): ShownPeer => ({
    ...{ network, peer },
    sessions: presence.sessions(network, peer).map(factsOf)
  })
  return {
    list: async (query) => {
      const { sort = 'name', search, relay = relayName } = query
      if (relay !== relayName) return { peers: [], nextCursor: null, total: 0 }
      const list = sort === 'name' && search === undefined ? peersInOrder : sortedPeers
      const { items, nextCursor, total } = await list(presence, { ...query, sort })
      return { peers: items.map(shown), nextCursor, total }
    },
    find: async (name) => (presence.sessions(name.network, name.peer).length === 0 ? undefined : shown(name)),
    close: async ({ network, peer }) => {
      const members = [...presence.sessions(network, peer)]
      for (const member of members) member.dismiss('dismissed')
      return { closed: members.length }
    }
  }
}

type Sorted = PeersAsked & { readonly sort: string }
type Found = Page<PeerName> & { readonly total: number }

/** In the order of their names: a page costs what is on it. */
async function peersInOrder(presence: Registry<Member>, query: Sorted): Promise<Found> {
  const { network, sort, limit } = query
  const after = sortedPlace(query)
  const page = await readPage(
    limit,
    (most) => namesIn(presence, network, after, most),
    (last) => [sort, 0, last.network, last.peer]
  )
  const networks = network === undefined ? [...presence.networks()] : [network]
  return { ...page, total: networks.reduce((sum, each) => sum + presence.peerCount(each), 0) }
}

/** In any other order, or by a search: every peer is looked at. */
async function sortedPeers(presence: Registry<Member>, query: Sorted): Promise<Found> {
  const { sort, limit } = query
  const order = sortOf(sort, PEER_ORDERS)
  const rows = peersWithValues(presence, query, order.key)
  const inOrder = peerOrder(order)
  const after = sortedPlace(query)
  const isAfter = (row: SortedPeer) => after === undefined || inOrder(row, { ...after, value: Number(after.value) }) > 0
  const page = await readPage(
    limit,
    (most) => rows.filter(isAfter).sort(inOrder).slice(0, most),
    (last) => [sort, last.value, last.network, last.peer]
  )
  return { ...page, total: rows.length }
}

/** Network by network, so that a page costs what is on it. */
function namesIn(
  presence: Registry<Member>,
  only: string | undefined,
  after: PeerName | undefined,
  limit: number
): PeerName[] {
  const names: PeerName[] = []
  const networks = only === undefined ? [...presence.networks()].sort(compareNames) : [only]
  for (const network of networks) {
    const order = after === undefined ? 1 : compareNames(network, after.network)
    if (order < 0) continue
    const page = presence.page(network, { after: order === 0 ? after!.peer : undefined, limit: limit - names.length })
    names.push(...page.peers.map((peer) => ({ network, peer })))
    if (names.length === limit) break
  }
  return names
}

/** Longest that a page, or counting, may take in the database, in ms. */
const LIST_MS = 2_000

/** Those of all relays. */
export function clusterPeers(directory: PeerDirectory): PeerLists {
  return {
    list: async (query) => {
      const { sort = 'name' } = query
      const list = sortOf(sort, PEER_ORDERS).key === 'name' ? placesInOrder : placesByValue
      return list(directory, { ...query, sort })
    },
    find: async (name) => {
      const peer = await directory.find(name)
      const [found] = peer === undefined ? [] : await directory.details([peer])
      return found && shownOf(found)
    },
    close: async (name) => {
      const { closed, unanswered } = await directory.close(name)
      return { closed, ...(unanswered.length === 0 ? {} : { unanswered }) }
    }
  }
}

async function placesInOrder(directory: PeerDirectory, query: Sorted): Promise<PeersFound> {
  const { network, search, relay, sort, limit } = query
  const filter = { network, relay, search: search === undefined ? undefined : lowered(search) }
  const after = sortedPlace(query)
  const { isDescending } = sortOf(sort, PEER_ORDERS)
  const page = await readPage(
    limit,
    (most) => inTime(() => directory.list(filter, after, { limit: most, isDescending, ms: LIST_MS })),
    (last) => [sort, 0, last.network, last.peer]
  )
  const [details, total] = await Promise.all([
    directory.details(page.items),
    totalInTime(() => directory.count(filter, LIST_MS))
  ])
  return { peers: details.map(shownOf), nextCursor: page.nextCursor, total }
}

const PlaceAtRelay = Type.Tuple([Type.String(), Type.Number(), Type.String(), Type.String(), Type.String()])

/** By what only the relays know: each sorts its own, and a peer at two relays is there twice. */
async function placesByValue(directory: PeerDirectory, query: Sorted): Promise<PeersFound> {
  const { network, search, relay: wanted, sort, limit } = query
  const [order, value, afterNetwork, peer, relay] = placeOf(query.cursor, PlaceAtRelay) ?? []
  if (order !== undefined) refuseOtherOrder(order, sort)
  const after = order === undefined ? undefined : { value, network: afterNetwork, peer, relay }
  let [total, unanswered]: [number, string[]] = [0, []]
  const page = await readPage<SortedAtRelay>(
    limit,
    async (most) => {
      const top = await directory.top(
        { network, search, relay: wanted },
        sortOf(sort, PEER_ORDERS),
        after as SortedAtRelay,
        most
      )
      total = top.total
      unanswered = top.unanswered
      return top.peers
    },
    (last) => [sort, last.value, last.network, last.peer, last.relay]
  )
  const details = await directory.details(page.items.map((item) => directory.placed(item)))
  const missing = unanswered.length === 0 ? {} : { unanswered }
  return { peers: details.map(shownOf), nextCursor: page.nextCursor, total, ...missing }
}

const shownOf = ({ network, peer, relays, sessions, isUnanswered }: PeerDetails): ShownPeer => ({
  ...{ network, peer, sessions: [...sessions], relays: [...relays] },
  ...(isUnanswered ? { unanswered: true } : {})
})
