// What the resources of the administration share: what they work with, and how their routes are described.
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyTypeProvider } from 'fastify'
import type { Cluster } from '../../src/cluster/cluster.ts'
import type { Database } from '../../src/database/database.ts'
import type { Mailboxes } from '../../src/delivery/mailboxes.ts'
import type { Member } from '../../src/delivery/member.ts'
import type { IdentityCache } from '../../src/identity/identity-cache.ts'
import type { NetworkRegistry } from '../../src/networks/registry.ts'
import type { Registry } from '../../src/presence/registry.ts'
import { Text } from '../../src/protocol/frame.ts'
import { PROBLEM_TYPE } from '../../src/protocol/problems.ts'
import { SIGNALING_NETWORK } from '../../src/protocol/signaling.ts'
import type { KeyedMutex } from '../../src/util/keyed-mutex.ts'
import type { PeerLists } from './peer-lists.ts'
import { Problem } from './problems.ts'

export interface AdminContext {
  readonly database: Database
  readonly presence: Registry<Member>
  readonly mailboxes: Mailboxes
  readonly identities: IdentityCache
  readonly nameMutex: KeyedMutex
  /** Undefined: the relay is alone. */
  readonly cluster: Cluster | undefined
  /** Those of all relays, in a cluster. */
  readonly peers: PeerLists
  /** Tells other relays that what they remember of a peer's key is not true any more. */
  readonly identityChanged: (network: string, peer: string) => void
  /** Undefined: L2PS messaging is turned off. */
  readonly networks: NetworkRegistry | undefined
  /** Lifetime of a message that is queued again, in ms. */
  readonly ttlMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Is this the signaling network, or an L2PS network that is registered? */
export const isKnownNetwork = ({ networks }: AdminContext, network: string): boolean =>
  network === SIGNALING_NETWORK || networks?.find(network) !== undefined

/** A peer as the database calls it: addresses in L2PS networks are hex in lower case, whatever the spelling. */
export const addressIn = (network: string, peer: string): string =>
  network === SIGNALING_NETWORK ? peer : peer.toLowerCase()

export const NetworkName = Text(128, 'The network: `signaling`, or an L2PS uid.')
export const PeerName = (description: string) => Text(256, description)

/** Of a route without a query. A misspelt field, or one of another route, is refused: it may have been a filter. */
const NoQuery = Type.Object({}, { additionalProperties: false })

export const ForceQuery = Type.Object(
  {
    force: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Purge waiting messages instead of refusing; they cannot be restored.'
      })
    )
  },
  { additionalProperties: false }
)

/** Handlers know the types of their requests and answers from the TypeBox schemas of their route. */
interface TypeBox extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

export const typed = (app: FastifyInstance) => app.withTypeProvider<TypeBox>()
export type AdminApp = ReturnType<typeof typed>

const refusal = (description: string) => ({ description, content: { [PROBLEM_TYPE]: { schema: Problem } } })

/** What every route of the administration may answer beside its own answers. */
export const problems = {
  '4xx': refusal('The request is at fault: `type` says how.'),
  '5xx': refusal('The server is at fault: try again later.')
}

/** What every route says of itself; a route that takes a query replaces `querystring`. */
export const described = (tag: string, summary: string, description?: string) => ({
  tags: [tag],
  summary,
  security: [{ bearer: [] }],
  querystring: NoQuery,
  ...(description === undefined ? {} : { description })
})
