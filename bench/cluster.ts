import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { type Contender, type ServerSettings, startServer } from './contender.ts'
import type { BenchNats } from './nats.ts'
import type { ProtocolName } from './protocols/protocol.ts'

/** Several relays over one database, measured as one. */
export interface ClusterContender extends Contender {
  readonly relays: readonly Contender[]
}

/** Connections of each relay: together they stay below what the database accepts. */
const MOST_CONNECTIONS = 80
const USUAL_CONNECTIONS = 8
const JOINED_MS = 30_000
/** A beat and a half: by then each relay knows of those that came before it. */
const ACQUAINTED_MS = 1_500

let clusters = 0

/** Starts relays one after the other; they tell each other by NATS where it is given, else by Postgres. */
export async function startCluster(
  count: number,
  nats: BenchNats | undefined,
  settings: ServerSettings
): Promise<ClusterContender> {
  const databaseUrl = await settings.postgres.newDatabase()
  const name = `bench-${process.pid}-${++clusters}`
  const key = join(settings.home, `${name}.pem`)
  await writeFile(key, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600
  })
  const env = {
    ...{ CLUSTER_NAME: name, NODE_KEY_FILE: key, AUDIT_ORIGIN: 'bench.example/log', ADMIN_TOKEN: 'bench'.repeat(8) },
    DATABASE_POOL_SIZE: String(Math.min(USUAL_CONNECTIONS, Math.floor(MOST_CONNECTIONS / count))),
    ...(nats === undefined ? {} : { NATS_URL: nats.url })
  }
  const relays: Contender[] = []
  try {
    for (let index = 1; index <= count; index++) {
      const shared = { databaseUrl, name: `relay-${index}`, env: { ...env, RELAY_NAME: `relay-${index}` } }
      relays.push(await startServer('server', { ...settings, shared }))
    }
    await acquainted(databaseUrl, count)
  } catch (error) {
    for (const relay of relays) await relay.stop()
    throw error
  }
  return asOne(relays, nats)
}

function asOne(relays: readonly Contender[], nats: BenchNats | undefined): ClusterContender {
  const [first] = relays as [Contender]
  const natsMs = () => nats?.cpuMs() ?? 0
  return {
    ...{ name: 'server', relays, probeUrl: first.probeUrl },
    url: (protocol: ProtocolName) => first.url(protocol),
    cpuMs: () => relays.reduce((sum, relay) => sum + (relay.cpuMs() ?? 0), natsMs()),
    databaseCpuMs: () => first.databaseCpuMs(),
    processes: () => ({
      ...Object.fromEntries(relays.map((relay, index) => [`Relay${index + 1}`, relay.cpuMs() ?? 0])),
      Postgres: first.databaseCpuMs() ?? 0,
      ...(nats === undefined ? {} : { Nats: natsMs() })
    }),
    memory: () => first.memory(),
    peakRss: () => first.peakRss(),
    lagMs: () => first.lagMs(),
    withMailboxesLocked: (work) => first.withMailboxesLocked(work),
    settle: async () => Math.min(...(await Promise.all(relays.map((relay) => relay.settle())))),
    unrecorded: () => first.unrecorded(),
    stop: async () => {
      await Promise.all(relays.map((relay) => relay.stop()))
    }
  }
}

/** Waits until all leases are held and every relay has had a beat to read them. */
async function acquainted(databaseUrl: string, count: number): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  try {
    const deadline = performance.now() + JOINED_MS
    while (true) {
      const [row] = await sql`select count(*)::int as alive from relay where lease_until > now()`
      if (row!.alive === count) break
      if (performance.now() > deadline) throw new Error(`${row!.alive} of ${count} relays hold a lease`)
      await delay(100)
    }
    await delay(ACQUAINTED_MS)
  } finally {
    await sql.end({ timeout: 1 })
  }
}
