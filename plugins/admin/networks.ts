import type { FastifyInstance } from 'fastify'
import {
  dropMember,
  listMembersOf,
  MemberAnswer,
  MemberParams,
  MembersAnswer,
  MembersQuery,
  putMember
} from './api/members.ts'
import {
  addNetwork,
  DeletedAnswer,
  dropNetwork,
  editNetwork,
  listNetworks,
  NetworkAnswer,
  NetworkChanges,
  NetworkParams,
  NetworksAnswer,
  type NetworksContext,
  NetworksQuery,
  NewNetwork,
  showNetwork
} from './api/networks.ts'
import { ForceQuery } from './api/schemas.ts'
import { described, problems, typed } from './typed.ts'

export function networkRoutes(admin: FastifyInstance, context: NetworksContext): void {
  const app = typed(admin)
  const list = {
    ...described('networks', 'List L2PS networks', 'From files and from the database.'),
    querystring: NetworksQuery,
    response: { 200: NetworksAnswer, ...problems }
  }
  app.get('/networks', { schema: list }, ({ query }) => listNetworks(context, query))

  const create = {
    ...described('networks', 'Create an L2PS network', 'Peers may join at once.'),
    body: NewNetwork,
    response: { 201: NetworkAnswer, ...problems }
  }
  app.post('/networks', { schema: create }, async ({ body }, reply) => {
    const network = await addNetwork(context, body)
    return reply.code(201).header('location', `/admin/networks/${network.uid}`).send(network)
  })
  oneNetwork(admin, context)
  memberRoutes(admin, context)
}

function oneNetwork(admin: FastifyInstance, context: NetworksContext): void {
  const app = typed(admin)
  const show = {
    ...described('networks', 'Show an L2PS network'),
    params: NetworkParams,
    response: { 200: NetworkAnswer, ...problems }
  }
  app.get('/networks/:uid', { schema: show }, ({ params }) => showNetwork(context, params.uid))

  const change = {
    ...described('networks', 'Change an L2PS network', 'Peers that may not be in it any more are shown out at once.'),
    params: NetworkParams,
    body: NetworkChanges,
    response: { 200: NetworkAnswer, ...problems }
  }
  app.patch('/networks/:uid', { schema: change }, ({ params, body }) => editNetwork(context, params.uid, body))

  const drop = {
    ...described(
      'networks',
      'Delete an L2PS network',
      'Its peers are shown out. Refused while messages wait in it. Its history and its audit log stay.'
    ),
    params: NetworkParams,
    querystring: ForceQuery,
    response: { 200: DeletedAnswer, ...problems }
  }
  app.delete('/networks/:uid', { schema: drop }, ({ params, query }) =>
    dropNetwork(context, params.uid, query.force ?? false)
  )
}

function memberRoutes(admin: FastifyInstance, context: NetworksContext): void {
  const app = typed(admin)
  const list = {
    ...described('networks', 'List the members of a network'),
    params: NetworkParams,
    querystring: MembersQuery,
    response: { 200: MembersAnswer, ...problems }
  }
  app.get('/networks/:uid/members', { schema: list }, ({ params, query }) => listMembersOf(context, params.uid, query))

  const member = { params: MemberParams, response: { 200: MemberAnswer, ...problems } }
  const put = {
    ...described('networks', 'List a peer as a member', 'The first member closes the network to everybody else.'),
    ...member
  }
  app.put('/networks/:uid/members/:peer', { schema: put }, ({ params }) => putMember(context, params))
  const drop = {
    ...described('networks', 'Take a peer off the list of members', 'It is shown out when the network is closed.'),
    ...member
  }
  app.delete('/networks/:uid/members/:peer', { schema: drop }, ({ params }) => dropMember(context, params))
}
