import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from './child.ts'
import type { NatsStart } from './nats-process.ts'
import { cpuMsOfTree } from './processes.ts'

/** NATS of this run: the bus of relays, and the JetStream they are compared with. */
export interface BenchNats extends NatsStart {
  cpuMs(): number | undefined
  stop(): Promise<void>
}

/** Undefined: nats-server is not installed. */
export async function startNats(dataDir: string | undefined): Promise<BenchNats | undefined> {
  const home = await mkdtemp(join(dataDir ?? tmpdir(), 'demos-relay-bench-nats-'))
  const child = Child.module('NATS', './nats-process.ts')
  const stop = async () => {
    await child.stop(20_000)
    await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  const started = await child.call<NatsStart | null>('start', { home }, 20_000)
  if (started !== null) return { ...started, cpuMs: () => cpuMsOfTree(started.pid), stop }
  await stop()
  return undefined
}
