// /admin/peers: who is connected to this process.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import type { Member } from '../../src/delivery/member.ts'
import { compareNames } from '../../src/presence/names.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { ProblemError } from './problems.ts'
import {
  NextCursor,
  type Page,
  PageQuery,
  readPage,
  SearchQuery,
  sortedPlace,
  sortOf,
  sortQuery,
  startsWith,
  Total
} from './requests.ts'
import {
  type AdminApp,
  type AdminContext,
  addressIn,
  described,
  NetworkName,
  PeerName,
  problems,
  Time,
  typed
} from './resource.ts'

export const PeerParams = Type.Object({
  network: NetworkName,
  peer: PeerName('A client id, or an address in the L2PS network.')
})
export const Window = Type.Object(
  { messages: Type.Integer(), bytes: Type.Integer() },
  { description: 'What was sent and is not receipted yet.' }
)
const PeerSession = Type.Object({
  connectedAt: Time,
  registeredAt: Time,
  address: Type.String({ description: 'Where the socket comes from.' }),
  receipt: Type.Union([Type.Literal('ack'), Type.Literal('pong'), Type.Literal('none')], {
    description: 'What counts as received: an ack of the application, a pong of its WebSocket stack, or nothing.'
  }),
  window: Window,
  roundTripMs: Type.Union([Type.Number(), Type.Null()], {
    description: 'From the last ping behind messages to its pong; null before the first.'
  }),
  bufferedBytes: Type.Integer({ description: 'Outgoing bytes the system has not taken: the peer does not read.' })
})
export const Peer = Type.Object(
  { network: Type.String(), peer: Type.String(), sessions: Type.Array(PeerSession) },
  { description: 'A peer and its sessions.' }
)
const PeersAnswer = Type.Object(
  { peers: Type.Array(Peer), nextCursor: NextCursor, total: Total },
  { description: 'Peers connected to this process, by `sort`.' }
)
export const ClosedAnswer = Type.Object(
  { closed: Type.Integer({ description: 'Sessions that were closed.' }) },
  { description: 'They are closed.' }
)

type Name = Static<typeof PeerParams>

export function peerRoutes(admin: FastifyInstance, context: AdminContext): void {
  for (const route of [listPeers, showPeer, closePeer]) route(typed(admin), context)
}

const PEER_ORDERS = ['name', 'since', 'round-trip', 'unreceipted', 'buffered', 'sessions'] as const
type PeerOrder = (typeof PEER_ORDERS)[number]

/** What peers are sorted by; -1: not known, which comes first. */
const VALUES: Readonly<Record<PeerOrder, (members: readonly Member[]) => number>> = {
  name: () => 0,
  since: (members) => Math.min(...members.map(({ session }) => session.connectedAt)),
  'round-trip': (members) => Math.max(...members.map(({ roundTripMs }) => roundTripMs ?? -1)),
  unreceipted: (members) => members.reduce((sum, { delivery }) => sum + delivery.unreceipted.messages, 0),
  buffered: (members) => members.reduce((sum, { session }) => sum + session.writer.bufferedBytes, 0),
  sessions: (members) => members.length
}

const PeersQuery = Type.Object(
  { network: Type.Optional(NetworkName), ...SearchQuery, ...sortQuery(PEER_ORDERS), ...PageQuery },
  { additionalProperties: false }
)

function listPeers(app: AdminApp, { presence }: AdminContext): void {
  const schema = {
    ...described('peers', 'List connected peers', 'Only those connected to this process.'),
    querystring: PeersQuery,
    response: { 200: PeersAnswer, ...problems }
  }
  app.get('/peers', { schema }, async ({ query }) => {
    const { sort = 'name', search } = query
    const list = sort === 'name' && search === undefined ? peersInOrder : sortedPeers
    const { items, nextCursor, total } = await list(presence, { ...query, sort })
    const peers = items.map((name) => peerOf(name, presence.sessions(name.network, name.peer)))
    return { peers, nextCursor, total }
  })
}

type ListQuery = Static<typeof PeersQuery> & { readonly sort: string }
type Found = Page<Name> & { readonly total: number }

/** In the order of their names: a page costs what is on it. */
async function peersInOrder(presence: AdminContext['presence'], query: ListQuery): Promise<Found> {
  const { network, sort, limit } = query
  const place = sortedPlace(query)
  const after = place && ([place.network, place.peer] as const)
  const page = await readPage(
    limit,
    (most) => namesIn(presence, network, after, most),
    (last) => [sort, 0, last.network, last.peer]
  )
  const networks = network === undefined ? [...presence.networks()] : [network]
  return { ...page, total: networks.reduce((sum, each) => sum + presence.peerCount(each), 0) }
}

/** In any other order, or by a search: every peer is looked at. */
async function sortedPeers(presence: AdminContext['presence'], query: ListQuery): Promise<Found> {
  const { network, search, sort, limit } = query
  const { key, isDescending } = sortOf(sort, PEER_ORDERS)
  const wanted = [...presence.everyone()].filter(
    (name) => (network === undefined || name.network === network) && startsWith(name.peer, search)
  )
  const rows = wanted.map((name) => ({ ...name, value: VALUES[key](presence.sessions(name.network, name.peer)) }))
  const inOrder = peerOrder(key, isDescending)
  const after = sortedPlace(query)
  const isAfter = (row: Row) => after === undefined || inOrder(row, { ...after, value: Number(after.value) }) > 0
  const page = await readPage(
    limit,
    (most) => rows.filter(isAfter).sort(inOrder).slice(0, most),
    (last) => [sort, last.value, last.network, last.peer]
  )
  return { ...page, total: rows.length }
}

/** Network by network, so that a page costs what is on it. */
function namesIn(
  presence: AdminContext['presence'],
  only: string | undefined,
  after: readonly [network: string, peer: string] | undefined,
  limit: number
): Name[] {
  const names: Name[] = []
  const networks = only === undefined ? [...presence.networks()].sort(compareNames) : [only]
  for (const network of networks) {
    const order = after === undefined ? 1 : compareNames(network, after[0])
    if (order < 0) continue
    const page = presence.page(network, { after: order === 0 ? after![1] : undefined, limit: limit - names.length })
    names.push(...page.peers.map((peer) => ({ network, peer })))
    if (names.length === limit) break
  }
  return names
}

type Row = Name & { readonly value: number }

/** By value, equal ones by name; by name alone, descending turns the names round. */
function peerOrder(key: PeerOrder, isDescending: boolean): (a: Row, b: Row) => number {
  const direction = isDescending ? -1 : 1
  const byName = (a: Row, b: Row) => compareNames(a.network, b.network) || compareNames(a.peer, b.peer)
  if (key === 'name') return (a, b) => direction * byName(a, b)
  return (a, b) => direction * (a.value - b.value) || byName(a, b)
}

function showPeer(app: AdminApp, context: AdminContext): void {
  const schema = {
    ...described('peers', 'Show a connected peer'),
    params: PeerParams,
    response: { 200: Peer, ...problems }
  }
  app.get('/peers/:network/:peer', { schema }, async ({ params }) => {
    const name = nameOf(params)
    return peerOf(name, membersOf(context, name))
  })
}

/** The record of it is stored before the sessions are closed. */
function closePeer(app: AdminApp, context: AdminContext): void {
  const { database, presence, now } = context
  const schema = {
    ...described('peers', "Close a peer's sessions", 'With code 4004. It may come back; its messages wait for it.'),
    params: PeerParams,
    response: { 200: ClosedAnswer, ...problems }
  }
  app.delete('/peers/:network/:peer', { schema }, async ({ params, holder }) => {
    const name = nameOf(params)
    membersOf(context, name)
    const event = { kind: 'administration', digest: 'sessionClose', sender: name.peer, network: name.network } as const
    const act = { ...event, acceptedAt: now(), by: holder?.name }
    await database.within(database.sql.begin((tx) => insertAuditEvents(tx, [act])))
    const members = [...presence.sessions(name.network, name.peer)]
    for (const member of members) member.dismiss('dismissed')
    return { closed: members.length }
  })
}

/** The name as the database spells it. */
export const nameOf = ({ network, peer }: Name): Name => ({ network, peer: addressIn(network, peer) })

function membersOf({ presence }: AdminContext, { network, peer }: Name): readonly Member[] {
  const members = presence.sessions(network, peer)
  if (members.length === 0) throw new ProblemError('not-found', 'no such peer is connected here')
  return members
}

const peerOf = ({ network, peer }: Name, members: readonly Member[]): Static<typeof Peer> => ({
  network,
  peer,
  sessions: members.map(({ session, strength, delivery, roundTripMs }) => ({
    connectedAt: new Date(session.connectedAt).toISOString(),
    registeredAt: new Date(session.registeredAt ?? session.connectedAt).toISOString(),
    address: session.address,
    receipt: strength,
    window: delivery.unreceipted,
    roundTripMs: roundTripMs ?? null,
    bufferedBytes: session.writer.bufferedBytes
  }))
})
