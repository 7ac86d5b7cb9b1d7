import { chmod, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { Child } from './child.ts'
import { cpuMsOfTree } from './processes.ts'

/** statfs(2): TMPFS_MAGIC. */
const TMPFS = 0x01021994

/** Postgres of this run: one cluster, a database for every server under test. */
export interface BenchPostgres {
  readonly version: string
  /** Settings that decide what a commit is worth, as this Postgres reports them. */
  readonly durability: {
    readonly fsync: string
    readonly synchronous_commit: string
    readonly full_page_writes: string
  }
  /** Is the disk a RAM disk, on which a commit costs nothing? */
  readonly onRamDisk: boolean
  /** A new, empty database; its connection string. */
  newDatabase(): Promise<string>
  /** CPU time all its processes have used, in ms. */
  cpuMs(): number | undefined
  stop(): Promise<void>
}

export async function startPostgres(dataDir: string | undefined): Promise<BenchPostgres> {
  const home = await mkdtemp(join(dataDir ?? tmpdir(), 'demos-relay-bench-'))
  await chmod(home, 0o711) // run by root, Postgres is another user who has to pass here
  const child = Child.module('Postgres', './postgres-process.ts')
  const { url, pid } = await child.call<{ url: string; pid: number }>('start', { home }, 60_000)
  const admin = postgres(url, { max: 1, onnotice: () => {} })
  const durability = {
    fsync: await setting(admin, 'fsync'),
    synchronous_commit: await setting(admin, 'synchronous_commit'),
    full_page_writes: await setting(admin, 'full_page_writes')
  }
  for (const [name, value] of Object.entries(durability)) {
    if (value !== 'on') throw new Error(`${name} is ${value}: commits would not be durable`)
  }
  let databases = 0
  return {
    version: await setting(admin, 'server_version'),
    durability,
    onRamDisk: (await statfs(home)).type === TMPFS,
    newDatabase: async () => {
      const name = `bench_${++databases}`
      await admin`create database ${admin(name)}`
      const own = new URL(url)
      own.pathname = name
      return own.href
    },
    cpuMs: () => cpuMsOfTree(pid),
    stop: async () => {
      await admin.end({ timeout: 1 })
      await child.stop(20_000)
      await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

async function setting(sql: postgres.Sql, name: string): Promise<string> {
  const [row] = await sql`select current_setting(${name}) as value`
  return row!.value
}
