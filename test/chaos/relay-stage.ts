import { join } from 'node:path'
import postgres from 'postgres'
import type { BusName } from '../cluster/relays.ts'
import type { Scope } from '../helpers/at-end.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { type NatsServer, startNats } from '../helpers/nats.ts'
import { nodeKeyFile } from '../helpers/node-key.ts'
import { until } from '../helpers/wait.ts'
import { externalCluster } from './cluster.ts'
import { startFaultyProxy } from './faulty-proxy.ts'
import { makeHost } from './host.ts'
import { makeNextBuild } from './next-build.ts'
import { startPeerProcess } from './peer-process.ts'
import { type ServerProcess, serverProcess } from './server-process.ts'
import { defineNetwork, SETTINGS, type Stage } from './stage.ts'
import { startWire, type Wire } from './wire.ts'

/** One relay of a cluster, and the networks between it and what it stands on. */
export interface Seat {
  readonly server: ServerProcess
  readonly database: Wire
  /** Undefined: relays tell each other through the database. */
  readonly bus: Wire | undefined
}

export interface RelayStage extends Stage {
  readonly seats: readonly Seat[]
  readonly nats: NatsServer | undefined
  startRelay(seat: Seat): Promise<void>
  killRelay(seat: Seat): Promise<void>
  /** The build that `upgrade` starts from. */
  nextBuild(): Promise<string>
  /** As an operator does it: SIGTERM. */
  stopRelay(seat: Seat): Promise<void>
}

/**
 * Relays of a cluster in processes of their own, one Postgres, and one address for peers before all of them. `hosts`: each
 * on a machine of its own, a network namespace.
 */
export async function openRelayStage(
  scope: Scope,
  relays: number,
  bus: BusName,
  { hosts = false }: { hosts?: boolean } = {}
): Promise<RelayStage> {
  const cluster = await externalCluster(scope, await temporaryDirectory(scope))
  const url = new URL(cluster.serverUrl!)
  const nats = bus === 'nats' ? await startNats(scope) : undefined
  const key = nodeKeyFile(await temporaryDirectory(scope))
  const seats: Seat[] = []
  for (let number = 1; number <= relays; number++) {
    const home = await temporaryDirectory(scope)
    const dataDir = join(home, 'data')
    await defineNetwork(dataDir)
    const host = hosts ? await makeHost(scope) : undefined
    const wireTo = (port: number) => host?.wireTo(port) ?? startWire(scope, port)
    const database = await wireTo(Number(url.port))
    const busWire = nats && (await wireTo(nats.port))
    const own = new URL(url)
    own.host = `${database.host}:${database.port}`
    const env = {
      ...SETTINGS,
      ...{ DATA_DIR: dataDir, DATABASE_URL: own.href, NODE_KEY_FILE: key },
      ...{ CLUSTER_NAME: 'chaos', RELAY_NAME: `relay-${number}`, HOST: host?.address ?? '127.0.0.1' },
      ...(busWire === undefined ? {} : { NATS_URL: `nats://${busWire.host}:${busWire.port}` })
    }
    const server = serverProcess(scope, { env, cwd: home, steppedClock: true, prefix: host?.prefix })
    seats.push({ server, database, bus: busWire })
  }
  const [proxy, peerProcess] = await Promise.all([startFaultyProxy(scope), startPeerProcess(scope)])
  const aim = () => {
    proxy.targets = seats.flatMap(({ server }) => server.url ?? [])
  }
  const startRelay = async ({ server }: Seat) => {
    await server.start()
    aim()
  }
  for (const seat of seats) await startRelay(seat)
  const end = async (ending: Promise<unknown>) => {
    aim()
    await ending
    aim()
  }
  let next: Promise<string> | undefined
  const servers = seats.map(({ server }) => server)
  return {
    ...{ cluster, servers, seats, nats, proxy, peerProcess, disk: undefined, hasSteppedClock: true },
    server: servers[0]!,
    startServer: () => startRelay(seats[0]!),
    killServer: () => end(seats[0]!.server.kill()),
    startRelay,
    nextBuild: () => (next ??= makeNextBuild(scope)),
    killRelay: ({ server }) => end(server.kill()),
    stopRelay: async (seat) => {
      proxy.targets = proxy.targets.filter((target) => target !== seat.server.url) // as a balancer does for one that is not ready
      await end(seat.server.stop())
    },
    healed: () =>
      until('all relays are well again', async () =>
        (await Promise.all(servers.map((each) => each.isReady()))).every(Boolean)
      ),
    look: async (work) => {
      const sql = postgres(url.href, { max: 1, onnotice: () => {} })
      try {
        return await work(sql)
      } finally {
        await sql.end({ timeout: 1 })
      }
    }
  }
}
