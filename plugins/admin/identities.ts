// /admin/identities: who owns a name.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { lowered } from '../../src/presence/names.ts'
import { countIdentities, listIdentities, readIdentity, releaseIdentity } from '../../src/store/identity.ts'
import type { Amount } from '../../src/store/purge.ts'
import { Time } from '../../src/util/iso-time.ts'
import { nameOf, PeerParams, Unanswered } from './peers.ts'
import { ProblemError } from './problems.ts'
import { AmountAnswer, purgeAll } from './queues.ts'
import {
  inTime,
  NextCursor,
  PageQuery,
  readPage,
  SearchQuery,
  sortedPlace,
  sortOf,
  sortQuery,
  Total,
  TotalQuery,
  totalInTime
} from './requests.ts'
import { type AdminApp, type AdminContext, described, ForceQuery, NetworkName, problems, typed } from './resource.ts'

export const IdentityAnswer = Type.Object(
  {
    network: Type.String(),
    peer: Type.String(),
    algorithm: Type.String({ description: 'Of the signing key.' }),
    signingKey: Type.String({ description: 'The key that owns the name, base64.' }),
    keyId: Type.Union([Type.String(), Type.Null()], { description: 'Names the encryption key handed out now.' }),
    registeredAt: Time,
    lastSeenAt: Time,
    challenged: Type.Boolean({ description: 'It registers with a challenge only, as it did once.' }),
    keys: Type.Array(Type.Object({ keyId: Type.String(), registeredAt: Time }), {
      description: 'Encryption keys it registered, oldest first: at most the last 100.'
    })
  },
  { description: 'Who owns a name.' }
)
const ReleaseAnswer = Type.Object(
  { released: Type.Boolean(), purged: AmountAnswer, unanswered: Unanswered },
  {
    description:
      'The name has no owner now. At relays that did not answer its sessions may still be open: close them again.'
  }
)

export function identityRoutes(admin: FastifyInstance, context: AdminContext): void {
  for (const route of [listNames, showIdentity, releaseName]) route(typed(admin), context)
}

const IDENTITY_ORDERS = ['name', 'since'] as const

const IdentitiesQuery = Type.Object(
  {
    network: Type.Optional(NetworkName),
    ...{ ...SearchQuery, ...sortQuery(IDENTITY_ORDERS), ...TotalQuery, ...PageQuery }
  },
  { additionalProperties: false }
)
export const IdentityLine = Type.Object({
  network: Type.String(),
  peer: Type.String(),
  algorithm: Type.String({ description: 'Of the signing key.' }),
  keyId: Type.Union([Type.String(), Type.Null()], { description: 'Names the encryption key handed out now.' }),
  registeredAt: Time,
  lastSeenAt: Time
})
const IdentitiesAnswer = Type.Object(
  { identities: Type.Array(IdentityLine), nextCursor: NextCursor, total: Type.Optional(Total) },
  { description: 'Names that have an owner, by `sort`; `total` where it was asked for.' }
)
/** Longest that a page, or counting, may take, in ms. */
const LIST_MS = 2_000

function listNames(app: AdminApp, { database }: AdminContext): void {
  const schema = {
    ...described('identities', 'List names that have an owner', 'Connected or not; `since` is when they registered.'),
    querystring: IdentitiesQuery,
    response: { 200: IdentitiesAnswer, ...problems }
  }
  app.get('/identities', { schema }, async ({ query }) => {
    const { network, search, sort = 'name', total: isCounted } = query
    const filter = { network, search: search === undefined ? undefined : lowered(search) }
    const after = sortedPlace({ ...query, sort })
    const order = sortOf(sort, IDENTITY_ORDERS)
    const { items, nextCursor } = await readPage(
      query.limit,
      (limit) =>
        inTime(() => database.within(listIdentities(database.sql, filter, order, after, { limit, ms: LIST_MS }))),
      (last) => [sort, last.since, last.network, last.peer]
    )
    const identities = items.map(({ since: _, registeredAt, lastSeenAt, ...line }) => ({
      ...line,
      registeredAt: registeredAt.toISOString(),
      lastSeenAt: lastSeenAt.toISOString()
    }))
    if (isCounted !== true) return { identities, nextCursor }
    const count = () => database.within(countIdentities(database.sql, filter, LIST_MS))
    return { identities, nextCursor, total: await totalInTime(count) }
  })
}

function showIdentity(app: AdminApp, { database }: AdminContext): void {
  const schema = {
    ...described('identities', 'Show who owns a name'),
    params: PeerParams,
    response: { 200: IdentityAnswer, ...problems }
  }
  app.get('/identities/:network/:peer', { schema }, async ({ params }) => {
    const name = nameOf(params)
    const identity = await database.within(readIdentity(database.sql, name.network, name.peer))
    if (identity === undefined) throw unregistered()
    return {
      ...name,
      algorithm: identity.algorithm,
      signingKey: Buffer.from(identity.signingKey).toString('base64'),
      keyId: identity.keyId,
      registeredAt: identity.registeredAt.toISOString(),
      lastSeenAt: identity.lastSeenAt.toISOString(),
      challenged: identity.challenged,
      keys: identity.keys.map(({ keyId, registeredAt }) => ({ keyId, registeredAt: registeredAt.toISOString() }))
    }
  })
}

const unregistered = () => new ProblemError('not-found', 'nobody ever registered this name here')

/** Takes turns with registrations of the name, so that none of them comes in between. */
function releaseName(app: AdminApp, context: AdminContext): void {
  const schema = {
    ...described(
      'identities',
      'Release a name',
      'The next peer that registers it owns it. Refused while messages wait for its owner. Its sessions are ' +
        'closed with code 4004.'
    ),
    params: PeerParams,
    querystring: ForceQuery,
    response: { 200: ReleaseAnswer, ...problems }
  }
  app.delete('/identities/:network/:peer', { schema }, async ({ params, query, holder }) => {
    const name = nameOf(params)
    const act = { force: query.force ?? false, by: holder?.name }
    const outcome = await context.nameMutex.run(name.peer, () => release(context, name, act))
    if (outcome === undefined) throw new ProblemError('too-many-requests', 'too many claims of this name are under way')
    return { released: true, ...outcome }
  })
}

/** Tries to empty a mailbox that is still being filled. */
const TRIES = 5

async function release(
  context: AdminContext,
  { network, peer }: Static<typeof PeerParams>,
  { force, by }: { force: boolean; by: string | undefined }
): Promise<{ purged: Amount; unanswered?: string[] }> {
  const { database, identities, identityChanged, peers, now } = context
  const purged = { entries: 0, bytes: 0 }
  for (let tries = 0; tries < TRIES; tries++) {
    const outcome = await database.within(releaseIdentity(database.sql, network, peer, now(), by))
    if (outcome === 'unknown') throw unregistered()
    if (outcome === 'released') {
      identities.released(network, peer)
      identityChanged(network, peer)
      const { unanswered } = await peers.close({ network, peer })
      return { purged, ...(unanswered === undefined ? {} : { unanswered }) }
    }
    if (!force) break
    const step = await purgeAll(context, { network, recipient: peer }, by)
    purged.entries += step.entries
    purged.bytes += step.bytes
  }
  throw new ProblemError('messages-waiting', 'messages wait for the owner of this name')
}
