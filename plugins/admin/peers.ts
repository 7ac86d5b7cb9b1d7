import type { FastifyInstance } from 'fastify'
import type { AdminContext } from './api/context.ts'
import { ClosedAnswer, closePeer, listPeers, Peer, PeerParams, PeersAnswer, PeersQuery, showPeer } from './api/peers.ts'
import { described, problems, typed } from './typed.ts'

export function peerRoutes(admin: FastifyInstance, context: AdminContext): void {
  const app = typed(admin)
  const list = {
    ...described('peers', 'List connected peers', 'Those of this process.'),
    querystring: PeersQuery,
    response: { 200: PeersAnswer, ...problems }
  }
  app.get('/peers', { schema: list }, ({ query }) => listPeers(context, query))

  const show = {
    ...described('peers', 'Show a connected peer'),
    params: PeerParams,
    response: { 200: Peer, ...problems }
  }
  app.get('/peers/:network/:peer', { schema: show }, async ({ params }) => showPeer(context, params))

  const close = {
    ...described('peers', "Close a peer's sessions", 'With code 4004. It may come back; its messages wait for it.'),
    params: PeerParams,
    response: { 200: ClosedAnswer, ...problems }
  }
  app.delete('/peers/:network/:peer', { schema: close }, ({ params }) => closePeer(context, params))
}
