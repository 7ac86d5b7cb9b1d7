import { type Static, Type } from '@sinclair/typebox'
import { peerKeyOf } from '../../../src/l2ps/keys.ts'
import { addMember, listMembers, removeMember } from '../../../src/store/l2ps-network-changes.ts'
import { NetworkParams, type NetworksContext, refuseMissing } from './networks.ts'
import { NextCursor, PageQuery, placeOf, readPage } from './pages.ts'
import { ProblemError } from './problems.ts'

const ADDRESS = /^(?:(?:falcon|ml-dsa):)?[0-9a-f]{64}$/

export const MemberParams = Type.Object({
  ...NetworkParams.properties,
  peer: Type.String({
    maxLength: 4_096,
    description: 'A key in hex, or its address: of a longer key `falcon:` or `ml-dsa:` and its SHA-256 in hex.'
  })
})
export const MembersQuery = Type.Object(PageQuery, { additionalProperties: false })
export const MembersAnswer = Type.Object(
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

const Place = Type.Tuple([Type.String({ pattern: ADDRESS.source })])

export async function listMembersOf(context: NetworksContext, uid: string, query: Static<typeof MembersQuery>) {
  const { database, networks } = context
  const network = networks.find(uid)
  if (network === undefined) throw new ProblemError('not-found', 'no such network')
  const [after] = placeOf(query.cursor, Place) ?? ['']
  const { items, nextCursor } = await readPage(
    query.limit,
    (limit) =>
      network.source === 'file'
        ? [...(network.members ?? [])]
            .filter((peer) => peer > after)
            .sort()
            .slice(0, limit)
        : database.within(listMembers(database.sql, uid, after, limit)),
    (last) => [last]
  )
  return { members: items.map((peer) => ({ peer })), nextCursor }
}

/** Lists a member; the first one closes the network to everybody else. */
export async function putMember(context: NetworksContext, params: Static<typeof MemberParams>) {
  const { database, networks, now } = context
  const peer = addressOf(params.peer)
  const outcome = await database.within(addMember(database.sql, params.uid, peer, now()))
  if (outcome === 'missing') refuseMissing(context, params.uid)
  await networks.refresh()
  return { peer, changed: outcome }
}

/** Takes a member off the list; its sessions are shown out. */
export async function dropMember(context: NetworksContext, params: Static<typeof MemberParams>) {
  const { database, networks, now } = context
  const { uid } = params
  const peer = addressOf(params.peer)
  const isRemoved = await database.within(removeMember(database.sql, uid, peer, now()))
  if (!isRemoved) {
    if (networks.find(uid)?.source !== 'database') refuseMissing(context, uid)
    throw new ProblemError('not-found', 'no such member')
  }
  await networks.refresh()
  return { peer, changed: true }
}

function addressOf(peer: string): string {
  const text = peer.toLowerCase()
  const address = peerKeyOf(text)?.address ?? text
  if (ADDRESS.test(address)) return address
  throw new ProblemError('invalid-request', 'not a key of 64, 1794 or 3904 hex digits, and no address', 'params/peer')
}
