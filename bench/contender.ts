import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { freePort } from '../src/database/embedded/embedded-postgres.ts'
import { Child } from './child.ts'
import type { BenchPostgres } from './database.ts'
import { cpuMsOfTree, takePeakRss } from './processes.ts'
import { BENCH_NETWORK } from './protocols/l2ps.ts'
import type { ProtocolName } from './protocols/protocol.ts'

/** One of those that are compared: a process that relays. */
export interface Contender {
  readonly name: 'server' | 'bare' | 'without audit'
  url(protocol: ProtocolName): string
  /** Something that answers GET at once while the event loop is free. */
  readonly probeUrl: string
  /** Where it stores, if it does. */
  readonly databaseUrl?: string
  cpuMs(): number | undefined
  databaseCpuMs(): number | undefined
  /** CPU time of each process, in ms, where there are several. */
  readonly processes?: () => Readonly<Record<string, number>>
  /** Memory after a garbage collection. */
  memory(): Promise<NodeJS.MemoryUsage>
  /** The most memory it has used at once since it was asked last, in bytes; undefined where there is no /proc. */
  peakRss(): number | undefined
  /** How late its event loop was since it was asked last: the 99th percentile, in ms. */
  lagMs(): Promise<number>
  /** Waits until it is at rest, and tells how many messages are stored. Records of the audit trail may still wait. */
  settle(): Promise<number>
  /** Accepted messages whose audit record has no place in the log yet. */
  unrecorded(): Promise<number>
  /** Runs `work` while no row can leave a mailbox, or enter one: whoever wants that waits. They can be read. */
  withMailboxesLocked<T>(work: () => Promise<T>): Promise<T>
  stop(): Promise<void>
}

/** Limits that the load of one machine would meet, and a hundred machines would not. Reported with the results. */
export const RAISED_LIMITS = {
  SIGNALING_QUOTA_PER_SENDER: '1000000',
  L2PS_QUOTA_PER_SENDER: '1000000',
  MAX_UNREGISTERED_PER_ADDRESS: '20000',
  MAX_CONNECTIONS: '40000',
  MAX_CONNECTIONS_PER_ADDRESS: '40000',
  WORK_PER_SOCKET: '0',
  WORK_PER_ADDRESS: '0',
  WORK_PER_IDENTITY: '0'
} as const

/** How closely the event loop is watched: that costs a wake-up each time. */
const LAG_RESOLUTION_MS = 10

/** The server does not know that it is being measured: this ends it with us, and tells its memory and its lag. */
const COMPANION = `data:text/javascript,${encodeURIComponent(`
if (process.channel !== undefined) { // not in its worker threads
  const { monitorEventLoopDelay } = await import('node:perf_hooks')
  const delay = monitorEventLoopDelay({ resolution: ${LAG_RESOLUTION_MS} })
  delay.enable()
  process.on('message', ({ id, command }) => {
    if (command === 'lag') {
      process.send({ id, result: Math.max(0, delay.percentile(99) / 1e6 - ${LAG_RESOLUTION_MS}) })
      delay.reset()
      return
    }
    globalThis.gc()
    process.send({ id, result: process.memoryUsage() })
  })
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGTERM')
    setTimeout(() => process.exit(1), 15_000).unref()
  })
  process.channel.unref()
}`)}`

const WITHOUT_AUDIT = fileURLToPath(new URL('./without-audit.mjs', import.meta.url))

const MEMORY_MS = 10_000
const START_MS = 30_000
/** A process that uses less than this share of a processor is at rest. */
const AT_REST = 0.05

export interface ServerSettings {
  /** The build under test. */
  readonly main: string
  readonly home: string
  readonly nodeOptions: readonly string[]
  readonly postgres: BenchPostgres
  /** A relay of a cluster: the database all of them use, and settings of this one. */
  readonly shared?: {
    readonly databaseUrl: string
    readonly name: string
    readonly env: Readonly<Record<string, string>>
  }
}

/** Starts the server under test on an empty database, as its users do but for `RAISED_LIMITS`. */
export async function startServer(name: Contender['name'], settings: ServerSettings): Promise<Contender> {
  const { main, home, nodeOptions, postgres: cluster, shared } = settings
  const databaseUrl = shared?.databaseUrl ?? (await cluster.newDatabase())
  const cwd = join(home, `${new URL(databaseUrl).pathname}${shared === undefined ? '' : `-${shared.name}`}`)
  await mkdir(cwd)
  await defineNetwork(join(cwd, 'data', 'l2ps', BENCH_NETWORK))
  const port = await freePort()
  const { PATH, HOME } = process.env
  const env = {
    ...{ PATH, HOME, DATABASE_URL: databaseUrl, DATA_DIR: join(cwd, 'data') },
    ...{ HOST: '127.0.0.1', RPC_SIGNALING_PORT: String(port), L2PS_MESSAGING_PORT: '0', LOG_LEVEL: 'warn' },
    ...{ ...RAISED_LIMITS, ...shared?.env },
    BENCH_MAIN: main
  }
  const program = name === 'without audit' ? WITHOUT_AUDIT : main
  const child = new Child('the server', [program], {
    env,
    cwd,
    execArgv: ['--expose-gc', '--import', COMPANION, ...nodeOptions]
  })
  const http = `http://127.0.0.1:${port}`
  await answering(`${http}/health/ready`, child)
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  return {
    name,
    databaseUrl,
    url: (protocol) => `ws://127.0.0.1:${port}/${protocol}`,
    probeUrl: `${http}/health/live`,
    cpuMs: () => cpuMsOfTree(child.pid),
    databaseCpuMs: () => cluster.cpuMs(),
    memory: () => child.call('memory', {}, MEMORY_MS),
    peakRss: () => takePeakRss(child.pid),
    lagMs: () => child.call('lag', {}, MEMORY_MS),
    settle: async () => {
      await atRest(() => cpuMsOfTree(child.pid))
      const [row] = await sql`select count(*)::int as stored from queue_entry`
      return row!.stored
    },
    unrecorded: async () => {
      const [row] = await sql`select coalesce(sum(count), 0)::int as waiting from audit_inbox`
      return row!.waiting
    },
    withMailboxesLocked: <T>(work: () => Promise<T>) =>
      sql.begin(async (tx) => {
        await tx`lock table queue_entry in share mode`
        return work()
      }) as Promise<T>,
    stop: async () => {
      await sql.end({ timeout: 1 })
      await child.stop(15_000, 'SIGTERM')
    }
  }
}

/** Starts the bare relay, or with a database the storing one: any path, no limits. */
export async function startBare(cluster?: BenchPostgres): Promise<Contender> {
  const env = cluster && { STORING_RELAY_DATABASE_URL: await cluster.newDatabase() }
  const [name, file] = env === undefined ? ['bare', './bare-relay.ts'] : ['storing', './storing-relay.ts']
  const child = Child.module(`the ${name} relay`, file!, ['--expose-gc'], env)
  const { port } = await child.call<{ port: number }>('start', {}, START_MS)
  return {
    name: 'bare',
    url: () => `ws://127.0.0.1:${port}/`,
    probeUrl: `http://127.0.0.1:${port}/`,
    cpuMs: () => cpuMsOfTree(child.pid),
    databaseCpuMs: () => cluster?.cpuMs(),
    memory: () => child.call('memory', {}, MEMORY_MS),
    peakRss: () => takePeakRss(child.pid),
    lagMs: () => child.call('lag', {}, MEMORY_MS),
    settle: async () => {
      await atRest(() => cpuMsOfTree(child.pid))
      return 0
    },
    unrecorded: async () => 0,
    withMailboxesLocked: (work) => work(),
    stop: () => child.stop()
  }
}

/** L2PS peers need a network to be in (docs/protocol.md, 4.8). */
async function defineNetwork(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  await writeFile(
    join(directory, 'config.json'),
    JSON.stringify({ uid: BENCH_NETWORK, enabled: true, auto_start: true })
  )
}

async function answering(url: string, child: Child): Promise<void> {
  const deadline = performance.now() + START_MS
  while (performance.now() < deadline) {
    if (!child.isRunning) throw new Error('the server ended while it started')
    const response = await fetch(url).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.ok) return
    await delay(50)
  }
  throw new Error(`the server was not ready within ${START_MS} ms`)
}

async function atRest(cpuMs: () => number | undefined): Promise<void> {
  const deadline = performance.now() + 20_000
  for (let last = cpuMs(); performance.now() < deadline; ) {
    await delay(200)
    const now = cpuMs()
    if (now === undefined || last === undefined || now - last <= 200 * AT_REST) return
    last = now
  }
}
