// /admin/relays: the relays over this database, and how much each of them has.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { SIGNALING_NETWORK } from '../../src/protocol/signaling.ts'
import { countPlaces } from '../../src/store/place-overview.ts'
import { isoTime, Time } from '../../src/util/iso-time.ts'
import { VERSION } from '../../src/util/package-root.ts'
import { type AdminContext, described, problems, typed } from './resource.ts'

export interface RelaysContext extends AdminContext {
  /** What people call this relay. */
  readonly relayName: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
}

const Relay = Type.Object({
  id: Type.Union([Type.String(), Type.Null()], {
    description: 'Made at every start: a relay that comes back is another one. Null: it is alone.'
  }),
  name: Type.String({ description: 'RELAY_NAME, or the name of its host.' }),
  version: Type.String(),
  startedAt: Time,
  self: Type.Boolean({ description: 'It is the one that answers.' }),
  bus: Type.Union([Type.Literal('nats'), Type.Literal('postgres'), Type.Null()], {
    description: 'How relays tell each other; null: it is alone.'
  }),
  busConnected: Type.Union([Type.Boolean(), Type.Null()], {
    description: 'Known of the relay that answers; null: of another one, or it is alone.'
  }),
  peers: Type.Object({ signaling: Type.Integer(), l2ps: Type.Integer() }, { description: 'Connected to it.' }),
  sessions: Type.Integer({ description: 'Sockets that speak for a peer.' })
})
type Relay = Static<typeof Relay>

export const RelaysAnswer = Type.Object(
  {
    cluster: Type.Union([Type.String(), Type.Null()], { description: 'CLUSTER_NAME; null: the relay is alone.' }),
    relays: Type.Array(Relay)
  },
  { description: 'The relays whose leases hold, by their names. One that is alone is the only one.' }
)

export function relayRoutes(admin: FastifyInstance, context: RelaysContext): void {
  const schema = {
    ...described(
      'relays',
      'List the relays',
      'In a cluster, as the database has them: one that died is listed until its lease of 5 s ends.'
    ),
    response: { 200: RelaysAnswer, ...problems }
  }
  typed(admin).get('/relays', { schema }, async () => {
    if (context.cluster === undefined) return { cluster: null, relays: [alone(context)] }
    return { cluster: context.cluster.name, relays: await relaysOf(context, context.cluster) }
  })
}

type Cluster = NonNullable<AdminContext['cluster']>

async function relaysOf({ database }: RelaysContext, { id: own, bus, relays }: Cluster): Promise<Relay[]> {
  const counts = new Map((await database.within(countPlaces(database.sql))).map((row) => [row.relay, row]))
  const shown = relays.map(({ id, name, version, startedAt }) => {
    const { signaling, l2ps, sessions } = counts.get(id) ?? { signaling: 0, l2ps: 0, sessions: 0 }
    const self = id === own
    return {
      ...{ id, name, version, startedAt: isoTime(startedAt), self, peers: { signaling, l2ps }, sessions },
      bus: bus?.name ?? null,
      busConnected: self ? (bus?.isConnected ?? false) : null
    }
  })
  return shown.sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id))
}

function alone({ presence, relayName, startedAt }: RelaysContext): Relay {
  const peers = { signaling: 0, l2ps: 0 }
  let sessions = 0
  for (const network of presence.networks()) {
    peers[network === SIGNALING_NETWORK ? 'signaling' : 'l2ps'] += presence.peerCount(network)
    for (const _ of presence.sessionsIn(network)) sessions += 1
  }
  return {
    ...{ id: null, name: relayName, version: VERSION, startedAt: isoTime(startedAt), self: true },
    ...{ bus: null, busConnected: null, peers, sessions }
  }
}
