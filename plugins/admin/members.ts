// /admin/networks/:uid/members: who may join a closed L2PS network.
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { peerKeyOf } from '../../src/protocol/peer-key.ts'
import { addMember, listMembers, removeMember } from '../../src/store/l2ps-network-changes.ts'
import { NetworkParams, type NetworksContext, refuseMissing } from './networks.ts'
import { ProblemError } from './problems.ts'
import { NextCursor, PageQuery, placeOf, readPage } from './requests.ts'
import { type AdminApp, described, problems, typed } from './resource.ts'

const ADDRESS = /^(?:(?:falcon|ml-dsa):)?[0-9a-f]{64}$/

const MemberParams = Type.Object({
  ...NetworkParams.properties,
  peer: Type.String({
    maxLength: 4_096,
    description: 'A key in hex, or its address: of a longer key `falcon:` or `ml-dsa:` and its SHA-256 in hex.'
  })
})
const MembersAnswer = Type.Object(
  { members: Type.Array(Type.Object({ peer: Type.String() })), nextCursor: NextCursor },
  { description: 'Who is listed, in the order of their addresses.' }
)
export const MemberAnswer = Type.Object(
  {
    peer: Type.String({ description: 'Its address.' }),
    changed: Type.Boolean({ description: 'False: it was so already.' })
  },
  { description: 'The list is as wanted.' }
)

export function memberRoutes(admin: FastifyInstance, context: NetworksContext): void {
  for (const route of [listMembersOf, putMember, dropMember]) route(typed(admin), context)
}

const Place = Type.Tuple([Type.String({ pattern: ADDRESS.source, 'x-allowed': 'the address of a member' })])

function listMembersOf(app: AdminApp, { database, networks }: NetworksContext): void {
  const schema = {
    ...described('networks', 'List the members of a network'),
    params: NetworkParams,
    querystring: Type.Object(PageQuery, { additionalProperties: false }),
    response: { 200: MembersAnswer, ...problems }
  }
  app.get('/networks/:uid/members', { schema }, async ({ params: { uid }, query }) => {
    const network = networks.find(uid)
    if (network === undefined) throw new ProblemError('not-found', 'no such network')
    const [after] = placeOf(query.cursor, Place) ?? ['']
    const inFile = () => [...(network.members ?? [])].filter((peer) => peer > after).sort()
    const { items, nextCursor } = await readPage(
      query.limit,
      (limit) =>
        network.source === 'file'
          ? inFile().slice(0, limit)
          : database.within(listMembers(database.sql, uid, after, limit)),
      (last) => [last]
    )
    return { members: items.map((peer) => ({ peer })), nextCursor }
  })
}

function putMember(app: AdminApp, context: NetworksContext): void {
  const { database, networks, now } = context
  const schema = {
    ...described('networks', 'List a peer as a member', 'The first member closes the network to everybody else.'),
    params: MemberParams,
    response: { 200: MemberAnswer, ...problems }
  }
  app.put('/networks/:uid/members/:peer', { schema }, async ({ params, holder }) => {
    const peer = addressOf(params.peer)
    const outcome = await database.within(addMember(database.sql, params.uid, peer, now(), holder?.name))
    if (outcome === 'missing') refuseMissing(context, params.uid)
    await networks.refresh()
    return { peer, changed: outcome }
  })
}

function dropMember(app: AdminApp, context: NetworksContext): void {
  const { database, networks, now } = context
  const schema = {
    ...described('networks', 'Take a peer off the list of members', 'It is disconnected if the network is closed.'),
    params: MemberParams,
    response: { 200: MemberAnswer, ...problems }
  }
  app.delete('/networks/:uid/members/:peer', { schema }, async ({ params, holder }) => {
    const { uid } = params
    const peer = addressOf(params.peer)
    const isRemoved = await database.within(removeMember(database.sql, uid, peer, now(), holder?.name))
    if (!isRemoved) {
      if (networks.find(uid)?.source !== 'database') refuseMissing(context, uid)
      throw new ProblemError('not-found', 'no such member')
    }
    await networks.refresh()
    return { peer, changed: true }
  })
}

function addressOf(peer: string): string {
  const text = peer.toLowerCase()
  const address = peerKeyOf(text)?.address ?? text
  if (ADDRESS.test(address)) return address
  throw new ProblemError('invalid-request', 'not a key of 64, 1794 or 3904 hex digits, and no address', 'params/peer')
}
