// /admin/peers: who is connected.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { PEER_ORDERS } from '../../src/delivery/peer-order.ts'
import { SessionFacts } from '../../src/delivery/session-facts.ts'
import { Text } from '../../src/protocol/frame.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import type { PeerLists, ShownPeer } from './peer-lists.ts'
import { ProblemError } from './problems.ts'
import { NextCursor, PageQuery, SearchQuery, sortQuery, Total } from './requests.ts'
import {
  type AdminApp,
  type AdminContext,
  addressIn,
  described,
  NetworkName,
  PeerName,
  problems,
  typed
} from './resource.ts'

export const PeerParams = Type.Object({
  network: NetworkName,
  peer: PeerName('A client id, or an address in the L2PS network.')
})
const PeerSession = Type.Object({
  ...SessionFacts.properties,
  relay: Type.Optional(Type.String({ description: 'In a cluster: the relay that has it.' })),
  relayId: Type.Optional(Type.String())
})
export const Peer = Type.Object(
  {
    network: Type.String(),
    peer: Type.String(),
    sessions: Type.Array(PeerSession),
    relays: Type.Optional(
      Type.Array(Type.Object({ id: Type.String(), name: Type.String(), sessions: Type.Integer() }), {
        description: 'In a cluster: where it has sessions, and how many as the database has it.'
      })
    ),
    unanswered: Type.Optional(
      Type.Boolean({ description: 'A relay of it did not answer within a second: `sessions` lacks what is there.' })
    )
  },
  { description: 'A peer and its sessions.' }
)
/** Only where there are any. */
export const Unanswered = Type.Optional(
  Type.Array(Type.String(), { description: 'Relays that did not answer within a second.' })
)
const PeersAnswer = Type.Object(
  { peers: Type.Array(Peer), nextCursor: NextCursor, total: Total, unanswered: Unanswered },
  {
    description:
      'Connected peers, by `sort`; without those of relays that did not answer, where only they know the order.'
  }
)
export const ClosedAnswer = Type.Object(
  { closed: Type.Integer({ description: 'Sessions that were closed.' }), unanswered: Unanswered },
  { description: 'They are closed, but for those at relays that did not answer.' }
)

type Name = Static<typeof PeerParams>

export function peerRoutes(admin: FastifyInstance, context: AdminContext): void {
  for (const route of [listPeers, showPeer, closePeer]) route(typed(admin), context)
}

const PeersQuery = Type.Object(
  {
    network: Type.Optional(NetworkName),
    relay: Type.Optional(Text(256, 'Only peers with sessions at this relay: its name or id.')),
    ...SearchQuery,
    ...sortQuery(PEER_ORDERS),
    ...PageQuery
  },
  { additionalProperties: false }
)

function listPeers(app: AdminApp, { peers }: AdminContext): void {
  const schema = {
    ...described(
      'peers',
      'List connected peers',
      'In a cluster, those of all relays; sorted by anything but the name, a peer with sessions at two relays is there ' +
        'twice, each time with its sessions at that relay.'
    ),
    querystring: PeersQuery,
    response: { 200: PeersAnswer, ...problems }
  }
  app.get('/peers', { schema }, ({ query }) => peers.list(query))
}

function showPeer(app: AdminApp, { peers }: AdminContext): void {
  const schema = {
    ...described('peers', 'Show a connected peer'),
    params: PeerParams,
    response: { 200: Peer, ...problems }
  }
  app.get('/peers/:network/:peer', { schema }, ({ params }) => connected(peers, nameOf(params)))
}

/** The record of it is stored before the sessions are closed. */
function closePeer(app: AdminApp, { database, peers, now }: AdminContext): void {
  const schema = {
    ...described(
      'peers',
      "Close a peer's sessions",
      'With code 4004, at whichever relay they are. It may come back; its messages wait for it.'
    ),
    params: PeerParams,
    response: { 200: ClosedAnswer, ...problems }
  }
  app.delete('/peers/:network/:peer', { schema }, async ({ params, holder }) => {
    const name = nameOf(params)
    await connected(peers, name)
    const event = { kind: 'administration', digest: 'sessionClose', sender: name.peer, network: name.network } as const
    const act = { ...event, acceptedAt: now(), by: holder?.name }
    await database.within(database.sql.begin((tx) => insertAuditEvents(tx, [act])))
    return peers.close(name)
  })
}

/** The name as the database spells it. */
export const nameOf = ({ network, peer }: Name): Name => ({ network, peer: addressIn(network, peer) })

async function connected(peers: PeerLists, name: Name): Promise<ShownPeer> {
  const found = await peers.find(name)
  if (found === undefined) throw new ProblemError('not-found', 'no such peer is connected here')
  return found
}
