// plugins/cluster.ts: this relay among others over one database; alone, it keeps others away from it.
import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { Bus, BusListener } from '../src/cluster/bus.ts'
import { Cluster } from '../src/cluster/cluster.ts'
import type { NatsSettings } from '../src/cluster/nats-bus.ts'
import { openNotifyBus } from '../src/cluster/notify-bus.ts'
import { holdRelayLock, type RelayLock } from '../src/cluster/relay-lock.ts'
import { VERSION } from '../src/util/package-root.ts'
import { StartError } from '../src/util/start-error.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined: the relay is alone. */
    cluster: Cluster | undefined
  }
}

export interface ClusterPluginOptions {
  /** Name of the cluster; undefined: the relay is alone. */
  readonly name: string | undefined
  /** What people call this relay; undefined: the name of its host. */
  readonly relayName: string | undefined
  /** Undefined: relays notify each other through Postgres. */
  readonly nats: NatsSettings | undefined
  /** Most sessions of one peer of an L2PS, in all relays. */
  readonly sessionsPerPeer: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Another relay has taken over the database of this one. */
  readonly replaced: (error: Error) => void
  /** Puts something between relay and bus: for tests that lose, repeat and reorder messages. */
  readonly throughBus?: ((bus: Bus) => Bus) | undefined
}

export default fp<ClusterPluginOptions>(
  async (app, options) => {
    const { database, log } = app
    const { name: cluster, replaced } = options
    const lock: RelayLock = await holdRelayLock({ database, cluster, log, replaced })
    app.addHook('onClose', () => lock.release())
    app.decorate('cluster', cluster === undefined ? undefined : await joinCluster(app, cluster, options))
  },
  { name: 'cluster', fastify: '5.x', dependencies: ['database', 'presence', 'metrics'] }
)

type App = Parameters<Parameters<typeof fp<ClusterPluginOptions>>[0]>[0]

async function joinCluster(app: App, name: string, options: ClusterPluginOptions): Promise<Cluster> {
  const { database, presence, sessions, metrics, log } = app
  const { relayName, nats, sessionsPerPeer, now, throughBus = (bus) => bus } = options
  if (nats === undefined && database.isPooledByTransaction) {
    throw new StartError(
      'The database is behind a pooler that gives each transaction another connection, so relays cannot notify each other through it. Set NATS_URL, or give DATABASE_URL a way around the pooler'
    )
  }
  const openBus = async (listener: BusListener, relay: string): Promise<Bus> => {
    const parts = { cluster: name, relay, listener, log }
    if (nats === undefined) return throughBus(await openNotifyBus({ ...parts, database }))
    const { openNatsBus } = await import('../src/cluster/nats-bus.ts')
    return throughBus(await openNatsBus({ ...parts, settings: nats }))
  }
  const cluster = new Cluster({
    ...{ database, registry: presence, cluster: name, name: relayName ?? hostname(), version: VERSION, now, log },
    ...{ sessionsPerPeer, openBus },
    cutOff: () => sessions.dismissAll('cutOff')
  })
  await cluster.start()
  app.addHook('onClose', () => cluster.stop())
  log.info(
    { cluster: name, relay: cluster.id, bus: cluster.bus?.name, relays: cluster.relays.length },
    'joined the cluster'
  )
  metrics.onRead(() => {
    metrics.clusterRelays.at().value = cluster.relays.length
    metrics.clusterBus.at().value = cluster.bus?.isConnected ? 1 : 0
    metrics.clusterLease.at().value = cluster.lease.holds ? 1 : 0
    metrics.clusterHandedOver.at().value = cluster.handedOver
    metrics.clusterTaken.at().value = cluster.taken
    metrics.clusterMisses.at().value = cluster.missed.misses
    metrics.clusterLooks.at().value = cluster.missed.looks
    metrics.clusterSharedWaiting.at().value = cluster.shared.waiting
  })
  return cluster
}
