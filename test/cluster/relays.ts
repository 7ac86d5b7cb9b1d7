// Relays of one cluster, in this process, over a database of their own.
import type { TestContext } from 'node:test'
import type { ServerOptions } from '../../src/server.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { startNats } from '../helpers/nats.ts'
import { needs } from '../helpers/programs.ts'
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
