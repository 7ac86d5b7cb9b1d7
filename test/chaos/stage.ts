import { execFile } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { until } from '../helpers/wait.ts'
import { type Cluster, embeddedCluster, externalCluster, type SmallDisk, smallDisk } from './cluster.ts'
import { CHAOS_NETWORK } from './dialects.ts'
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts'
import { type PeerProcess, startPeerProcess } from './peer-process.ts'
import { type ServerProcess, serverProcess } from './server-process.ts'

/** Everything a fault run needs but the peers: one server process, its Postgres, the way there, a process for peers. */
export interface Stage {
  readonly cluster: Cluster
  readonly server: ServerProcess
  /** All servers: one, unless they are relays of a cluster (relay-stage.ts). */
  readonly servers: readonly ServerProcess[]
  readonly proxy: FaultyProxy
  readonly peerProcess: PeerProcess
  /** The disk its database is on; undefined: not a small one. */
  readonly disk: SmallDisk | undefined
  readonly hasSteppedClock: boolean
  /** Starts the server and sends further connections there. */
  startServer(): Promise<void>
  killServer(): Promise<void>
  /** Waits until the server says that it is well. */
  healed(): Promise<void>
  /** Looks into the database. */
  look<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T>
}

export interface StageOptions {
  readonly database?: 'external' | 'embedded'
  /** Put the database on a disk of so many MB that can be filled up. */
  readonly diskMegabytes?: number
  readonly steppedClock?: boolean
}

export const CHAOS_TOKEN = 'the-token-of-fault-runs'

/** Deadlines so short that every fault has its consequences within seconds, and quotas that are met. */
export const SETTINGS = {
  SIGNALING_QUOTA_PER_SENDER: '20',
  L2PS_QUOTA_PER_SENDER: '20',
  HOST: '127.0.0.1',
  RPC_SIGNALING_PORT: '0',
  L2PS_MESSAGING_PORT: '0',
  DATABASE_DEADLINE_MS: '1000',
  PONG_DEADLINE_SECONDS: '2',
  HEARTBEAT_SECONDS: '1',
  STALL_DEADLINE_SECONDS: '5',
  ADMIN_TOKEN: CHAOS_TOKEN,
  AUDIT_INTERVAL_MS: '50',
  AUDIT_ANCHOR_SECONDS: '1',
  AUDIT_REQUESTS_PER_MINUTE: '100000',
  AUDIT_ORIGIN: 'relay.example',
  LOG_LEVEL: 'info'
}

const run = promisify(execFile)

export async function openStage(scope: Scope, options: StageOptions = {}): Promise<Stage> {
  const home = await temporaryDirectory(scope)
  const dataDir = join(home, 'data')
  await defineNetwork(dataDir)
  const disk = options.diskMegabytes === undefined ? undefined : await mountDisk(scope, home, options.diskMegabytes)
  const cluster: Cluster =
    options.database === 'embedded'
      ? embeddedCluster(scope, dataDir, () => server)
      : await externalCluster(scope, disk?.directory ?? (await temporaryDirectory(scope)))
  const url = cluster.serverUrl
  const env = { ...SETTINGS, DATA_DIR: dataDir, ...(url === undefined ? {} : { DATABASE_URL: url }) }
  const hasSteppedClock = options.steppedClock === true
  const server: ServerProcess = serverProcess(scope, { env, cwd: home, steppedClock: hasSteppedClock })
  const [proxy, peerProcess] = await Promise.all([startFaultyProxy(scope), startPeerProcess(scope)])
  const startServer = async () => {
    await server.start()
    proxy.targets = [server.url!]
  }
  await startServer()
  return {
    ...{
      cluster,
      server,
      servers: [server],
      proxy,
      peerProcess,
      disk: disk && smallDisk(disk.directory),
      hasSteppedClock,
      startServer
    },
    killServer: async () => {
      await server.kill()
      proxy.targets = []
    },
    healed: () => until('the server is well again', () => server.isReady()),
    look: async (work) => {
      const sql = postgres(await cluster.url(), { max: 1, onnotice: () => {} })
      try {
        return await work(sql)
      } finally {
        await sql.end({ timeout: 1 })
      }
    }
  }
}

export async function defineNetwork(dataDir: string): Promise<void> {
  const directory = join(dataDir, 'l2ps', CHAOS_NETWORK)
  await mkdir(directory, { recursive: true })
  const network = { uid: CHAOS_NETWORK, enabled: true, auto_start: true }
  await writeFile(join(directory, 'config.json'), JSON.stringify(network))
}

async function mountDisk(scope: Scope, home: string, megabytes: number): Promise<{ directory: string }> {
  const directory = join(home, 'disk')
  await mkdir(directory)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'demos-relay-chaos', directory])
  atEnd(scope, () => run('umount', ['--lazy', directory]))
  await chmod(directory, 0o711) // run by root, Postgres is another user who has to pass here
  return { directory }
}

/** Why no small disk can be had here, or undefined: mounting is the privilege of root. */
export async function missingForDisk(scope: Scope): Promise<string | undefined> {
  const home = await temporaryDirectory(scope)
  return run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'demos-relay-chaos', home]).then(
    async () => void (await run('umount', [home])),
    () => 'a small disk cannot be mounted here (that takes root)'
  )
}
