import { type Static, Type } from '@sinclair/typebox'
import type { Member } from '../../../src/presence/registry.ts'
import { insertAuditEvents } from '../../../src/store/audit-inbox.ts'
import { type AdminContext, addressIn } from './context.ts'
import { NextCursor, PageQuery, placeOf, readPage } from './pages.ts'
import { ProblemError } from './problems.ts'
import { NetworkName, PeerName, Time } from './schemas.ts'

export const PeerParams = Type.Object({
  network: NetworkName,
  peer: PeerName('A client id, or an address in the L2PS network.')
})
export const Window = Type.Object(
  { messages: Type.Integer(), bytes: Type.Integer() },
  { description: 'What was sent and is not receipted yet.' }
)
export const PeerSession = Type.Object({
  connectedAt: Time,
  registeredAt: Time,
  address: Type.String({ description: 'Where the socket comes from.' }),
  receipt: Type.Union([Type.Literal('ack'), Type.Literal('pong'), Type.Literal('none')], {
    description: 'What counts as received: the word of the application, of its WebSocket stack, or nothing.'
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
export const PeersQuery = Type.Object(
  { network: Type.Optional(NetworkName), ...PageQuery },
  { additionalProperties: false }
)
export const PeersAnswer = Type.Object(
  { peers: Type.Array(Peer), nextCursor: NextCursor },
  { description: 'Peers connected to this process, in the order of their names.' }
)
export const ClosedAnswer = Type.Object(
  { closed: Type.Integer({ description: 'Sessions that were closed.' }) },
  { description: 'They are closed.' }
)

type Name = Static<typeof PeerParams>

const Place = Type.Tuple([NetworkName, PeerName('The last peer.')])

export async function listPeers({ presence }: AdminContext, query: Static<typeof PeersQuery>) {
  const after = placeOf(query.cursor, Place)
  const isAfter = ({ network, peer }: Name) =>
    after === undefined || network > after[0] || (network === after[0] && peer > after[1])
  const names = [...presence.everyone()].filter(
    (name) => (query.network === undefined || name.network === query.network) && isAfter(name)
  )
  names.sort((a, b) => compare(a.network, b.network) || compare(a.peer, b.peer))
  const { items, nextCursor } = await readPage(
    query.limit,
    (limit) => names.slice(0, limit),
    (last) => [last.network, last.peer]
  )
  return { peers: items.map((name) => peerOf(name, presence.members(name.network, name.peer))), nextCursor }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

export const showPeer = (context: AdminContext, params: Name) => {
  const name = nameOf(params)
  return peerOf(name, membersOf(context, name))
}

/** Closes every session of a peer, after the record of it is stored. Its messages wait for its return. */
export async function closePeer(context: AdminContext, params: Name): Promise<Static<typeof ClosedAnswer>> {
  const { database, presence, now } = context
  const name = nameOf(params)
  membersOf(context, name)
  const event = { kind: 'administration', digest: 'sessionClose', sender: name.peer, network: name.network } as const
  await database.within(insertAuditEvents(database.sql, [{ ...event, acceptedAt: now() }]))
  const members = [...presence.members(name.network, name.peer)]
  for (const member of members) presence.dismiss(member, 'dismissed')
  return { closed: members.length }
}

const nameOf = ({ network, peer }: Name): Name => ({ network, peer: addressIn(network, peer) })

function membersOf({ presence }: AdminContext, { network, peer }: Name): readonly Member[] {
  const members = presence.members(network, peer)
  if (members.length === 0) throw new ProblemError('not-found', 'no such peer is connected here')
  return members
}

const peerOf = ({ network, peer }: Name, members: readonly Member[]): Static<typeof Peer> => ({
  network,
  peer,
  sessions: members.map(({ session, receipts }) => ({
    connectedAt: new Date(session.connectedAt).toISOString(),
    registeredAt: new Date(session.registeredAt ?? session.connectedAt).toISOString(),
    address: session.address,
    receipt: receipts.strength,
    window: receipts.delivery.unreceipted,
    roundTripMs: receipts.roundTripMs ?? null,
    bufferedBytes: session.outlet.bufferedBytes
  }))
})
