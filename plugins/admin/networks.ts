// /admin/networks: the L2PS networks.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { type Network, NetworkUid } from '../../src/networks/network.ts'
import { isNetworkUid, type NetworkRegistry } from '../../src/networks/registry.ts'
import { startsWith } from '../../src/presence/names.ts'
import { Text } from '../../src/protocol/frame.ts'
import {
  changeNetwork,
  createNetwork,
  deleteNetwork,
  type NetworkDates,
  readNetworkDates
} from '../../src/store/l2ps-network-changes.ts'
import { readQueueStats } from '../../src/store/mailbox-overview.ts'
import { Time } from '../../src/util/iso-time.ts'
import { ProblemError } from './problems.ts'
import { AmountAnswer, purgeAll } from './queues.ts'
import { NextCursor, PageQuery, placeOf, readPage, SearchQuery, Total } from './requests.ts'
import { type AdminApp, type AdminContext, described, ForceQuery, problems, typed } from './resource.ts'

export interface NetworksContext extends AdminContext {
  readonly networks: NetworkRegistry
}

const Name = Type.Union([Text(256, 'For people.'), Type.Null()])
const Description = Type.Union([Text(4_096, 'For people.'), Type.Null()])
const Enabled = Type.Boolean({ description: 'May peers join? If not, those in it are disconnected.' })
const MembersOnly = Type.Boolean({ description: 'May only its members join?' })
const AuditPublic = Type.Boolean({ description: 'Are its audit records public?' })

export const NetworkParams = Type.Object({ uid: Text(128, 'The uid of the network.') })
export const NetworkAnswer = Type.Object(
  {
    uid: Type.String(),
    name: Type.Union([Type.String(), Type.Null()]),
    description: Type.Union([Type.String(), Type.Null()]),
    enabled: Enabled,
    membersOnly: MembersOnly,
    auditPublic: AuditPublic,
    source: Type.Union([Type.Literal('file'), Type.Literal('database')], {
      description: 'Where it is defined; one in a file is changed there.'
    }),
    members: Type.Integer({ description: 'How many members are listed.' }),
    createdAt: Type.Union([Time, Type.Null()], { description: 'Null for a network in a file.' }),
    updatedAt: Type.Union([Time, Type.Null()]),
    queue: AmountAnswer
  },
  { description: 'A network as it is now.' }
)
const NetworksAnswer = Type.Object(
  { networks: Type.Array(NetworkAnswer), nextCursor: NextCursor, total: Total },
  { description: 'Networks in the order of their uids.' }
)
const NewNetwork = Type.Object(
  {
    uid: NetworkUid,
    name: Type.Optional(Name),
    description: Type.Optional(Description),
    enabled: Type.Optional(Type.Boolean({ ...Enabled, default: true })),
    membersOnly: Type.Optional(Type.Boolean({ ...MembersOnly, default: false })),
    auditPublic: Type.Optional(Type.Boolean({ ...AuditPublic, default: false }))
  },
  { additionalProperties: false, examples: [{ uid: 'team', name: 'The team', membersOnly: true }] }
)
const NetworkChanges = Type.Object(
  {
    name: Type.Optional(Name),
    description: Type.Optional(Description),
    enabled: Type.Optional(Enabled),
    membersOnly: Type.Optional(MembersOnly),
    auditPublic: Type.Optional(AuditPublic)
  },
  { additionalProperties: false, minProperties: 1, examples: [{ enabled: false }] }
)
export const DeletedAnswer = Type.Object(
  { deleted: Type.Boolean(), purged: AmountAnswer },
  { description: 'The network is gone.' }
)

export function networkRoutes(admin: FastifyInstance, context: NetworksContext): void {
  for (const route of [listNetworks, addNetwork, showNetwork, editNetwork, dropNetwork]) route(typed(admin), context)
}

const Place = Type.Tuple([Type.String({ maxLength: 128 })])

function listNetworks(app: AdminApp, context: NetworksContext): void {
  const schema = {
    ...described('networks', 'List L2PS networks', 'From files and from the database.'),
    querystring: Type.Object({ ...SearchQuery, ...PageQuery }, { additionalProperties: false }),
    response: { 200: NetworksAnswer, ...problems }
  }
  app.get('/networks', { schema }, async ({ query }) => {
    const [after] = placeOf(query.cursor, Place) ?? ['']
    const uids = context.networks.list().flatMap(({ uid }) => (startsWith(uid, query.search) ? uid : []))
    const rest = uids.filter((uid) => uid > after).sort()
    const { items, nextCursor } = await readPage(
      query.limit,
      (limit) => rest.slice(0, limit),
      (last) => [last]
    )
    return { networks: await describe(context, items), nextCursor, total: uids.length }
  })
}

function addNetwork(app: AdminApp, context: NetworksContext): void {
  const { database, networks, now } = context
  const schema = {
    ...described('networks', 'Create an L2PS network', 'Peers may join at once.'),
    body: NewNetwork,
    response: { 201: NetworkAnswer, ...problems }
  }
  app.post('/networks', { schema }, async ({ body: { uid, ...given }, holder }, reply) => {
    if (!isNetworkUid(uid)) throw new ProblemError('invalid-request', 'this name is reserved', 'body/uid')
    await networks.refresh()
    const settings = { name: null, description: null, enabled: true, membersOnly: false, auditPublic: false, ...given }
    const isNew =
      networks.find(uid) === undefined &&
      (await database.within(createNetwork(database.sql, uid, settings, now(), holder?.name)))
    if (!isNew) throw new ProblemError('network-exists', `${uid} is there already`, 'body/uid')
    const network = await refreshed(context, uid)
    return reply.code(201).header('location', `/admin/networks/${uid}`).send(network)
  })
}

function showNetwork(app: AdminApp, context: NetworksContext): void {
  const schema = {
    ...described('networks', 'Show an L2PS network'),
    params: NetworkParams,
    response: { 200: NetworkAnswer, ...problems }
  }
  app.get('/networks/:uid', { schema }, ({ params }) => networkOf(context, params.uid))
}

function editNetwork(app: AdminApp, context: NetworksContext): void {
  const { database, now } = context
  const schema = {
    ...described(
      'networks',
      'Change an L2PS network',
      'Peers that may not be in it any more are disconnected at once.'
    ),
    params: NetworkParams,
    body: NetworkChanges,
    response: { 200: NetworkAnswer, ...problems }
  }
  app.patch('/networks/:uid', { schema }, async ({ params: { uid }, body, holder }) => {
    const outcome = await database.within(changeNetwork(database.sql, uid, body, now(), holder?.name))
    if (outcome === 'missing') refuseMissing(context, uid)
    return refreshed(context, uid)
  })
}

/** Deletes the network before the messages that wait in it, so that no further message is added meanwhile. */
function dropNetwork(app: AdminApp, context: NetworksContext): void {
  const { database, networks, now } = context
  const schema = {
    ...described(
      'networks',
      'Delete an L2PS network',
      'Its peers are disconnected. Refused while messages wait in it. Its history and its audit log stay.'
    ),
    params: NetworkParams,
    querystring: ForceQuery,
    response: { 200: DeletedAnswer, ...problems }
  }
  app.delete('/networks/:uid', { schema }, async ({ params: { uid }, query: { force = false }, holder }) => {
    const outcome = await database.within(deleteNetwork(database.sql, uid, force, now(), holder?.name))
    if (outcome === 'missing') refuseMissing(context, uid)
    if (outcome === 'waiting') throw new ProblemError('messages-waiting', 'messages wait in this network')
    await networks.refresh()
    const purged = force ? await purgeAll(context, { network: uid }, holder?.name) : { entries: 0, bytes: 0 }
    return { deleted: true, purged }
  })
}

/** Networks as an administrator sees them; unknown ones are left out. */
async function describe({ database, networks }: NetworksContext, uids: readonly string[]) {
  const known = uids.flatMap((uid) => networks.find(uid) ?? [])
  const { sql } = database
  const names = known.map(({ uid }) => uid)
  const [rows, waiting] = await Promise.all([
    database.within(readNetworkDates(sql, names)),
    database.within(readQueueStats(sql, names))
  ])
  const dates = new Map(rows.map((row) => [row.uid, row]))
  const queues = new Map(waiting.map(({ network, entries, bytes }) => [network, { entries, bytes }]))
  return known.map((network) => answerOf(network, dates.get(network.uid), queues.get(network.uid)))
}

function answerOf(
  network: Network,
  stored: NetworkDates | undefined,
  queue: Static<typeof AmountAnswer> = { entries: 0, bytes: 0 }
): Static<typeof NetworkAnswer> {
  const { uid, name = null, description = null, enabled, auditPublic, source, members } = network
  const row = source === 'database' ? stored : undefined
  return {
    ...{ uid, name, description, enabled, auditPublic, source, queue },
    membersOnly: members !== undefined,
    members: row?.members ?? members?.size ?? 0,
    createdAt: row?.createdAt.toISOString() ?? null,
    updatedAt: row?.updatedAt.toISOString() ?? null
  }
}

async function networkOf(context: NetworksContext, uid: string) {
  const [network] = await describe(context, [uid])
  return network ?? notFound()
}

/** The network as it is now. Every session has been checked against it by then. */
async function refreshed(context: NetworksContext, uid: string) {
  await context.networks.refresh()
  return networkOf(context, uid)
}

/** A network that is not in the database is in a file, or does not exist. */
export function refuseMissing({ networks }: NetworksContext, uid: string): never {
  if (networks.find(uid)?.source !== 'file') notFound()
  throw new ProblemError('network-in-file', `${uid} is defined by ${uid}/config.json in L2PS_DIR`)
}

function notFound(): never {
  throw new ProblemError('not-found', 'no such network')
}
