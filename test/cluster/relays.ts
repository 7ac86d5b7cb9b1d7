// Relays of one cluster, in this process, over a database of their own.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Bus } from '../../src/cluster/bus.ts'
import type { ServerOptions } from '../../src/server.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { findProgram, needs } from '../helpers/programs.ts'
import { type Settings, startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

/** How relays tell each other: by Postgres, or by NATS where it is installed. */
export const BUSES = ['postgres', 'nats'] as const
export type BusName = (typeof BUSES)[number]

/** Options of a test that runs on this bus. */
export const onBus = (bus: BusName): { skip?: string } => (bus === 'nats' ? needs('nats-server') : {})

export interface TestCluster {
  readonly relays: readonly TestServer[]
  readonly databaseUrl: string
  /** Starts one more. */
  add(settings?: Settings, options?: ServerOptions): Promise<TestServer>
}

/** So many relays that know each other. */
export async function startCluster(
  t: TestContext,
  count: number,
  bus: BusName = 'postgres',
  settings: Settings = {},
  options: ServerOptions = {}
): Promise<TestCluster> {
  const databaseUrl = String(settings.DATABASE_URL ?? (await createTestDatabase(t)).url)
  const nats = bus === 'nats' ? { NATS_URL: (await startNats(t)).url } : {}
  const relays: TestServer[] = []
  const add = async (more: Settings = {}, moreOptions: ServerOptions = {}) => {
    const relay = await startTestServer(
      t,
      {
        ...{ CLUSTER_NAME: 'test', RELAY_NAME: `relay-${relays.length + 1}`, DATABASE_URL: databaseUrl },
        ...{ ...nats, ...settings, ...more }
      },
      { ...options, ...moreOptions }
    )
    relays.push(relay)
    return relay
  }
  for (let index = 0; index < count; index++) await add()
  await until('all relays know each other', () => relays.every(({ app }) => app.cluster!.relays.length === count))
  return { relays, databaseUrl, add }
}

export interface NatsServer {
  readonly url: string
  readonly process: ChildProcess
  /** kill -9 */
  kill(): Promise<void>
  start(): Promise<void>
  freeze(): void
  thaw(): void
}

/** Debian's nats-server on a free port. `config`: lines of its configuration. */
export async function startNats(scope: Scope, config = ''): Promise<NatsServer> {
  const port = await freePort()
  const home = await mkdtemp(join(tmpdir(), 'nats-'))
  atEnd(scope, () => rm(home, { recursive: true, force: true }))
  const file = join(home, 'nats.conf')
  await writeFile(file, `listen: 127.0.0.1:${port}\n${config}\n`)
  let child: ChildProcess
  const start = async () => {
    child = spawn(findProgram('nats-server')!, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    await new Promise<void>((resolve, reject) => {
      let said = ''
      child.once('exit', (code) => reject(new Error(`nats-server ended with ${code}: ${said}`)))
      child.stderr!.on('data', (text) => {
        said += text
        if (/Server is ready/.test(said)) resolve()
      })
    })
  }
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  await start()
  atEnd(scope, async () => {
    child.kill('SIGCONT')
    await kill()
  })
  return {
    url: `nats://127.0.0.1:${port}`,
    get process() {
      return child
    },
    ...{ kill, start },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT')
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** What a bus may do to hand-overs, one after the other: it may lose, repeat and reorder them. */
export interface BusFaults {
  /** Share of the hand-overs that are lost, 0 to 1. */
  lost: number
  repeated: number
  /** Held back until the next one has passed. */
  reordered: number
}

/** A bus that does that to hand-overs; beats, presence and questions pass. Faults may be changed at any time. */
export function faultyBus(faults: BusFaults, random: () => number): (bus: Bus) => Bus {
  return (bus) => {
    let held: (() => void) | undefined
    const publish = (relay: string, message: Buffer) => {
      if (random() < faults.lost) return
      const send = () => bus.publish(relay, message)
      if (held === undefined && random() < faults.reordered) {
        held = send
        return
      }
      send()
      held?.()
      held = undefined
      if (random() < faults.repeated) send()
    }
    return new Proxy(bus, {
      get: (target, key) => {
        if (key === 'publish') return publish
        const value = Reflect.get(target, key, target) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }
}
