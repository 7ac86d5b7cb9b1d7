import { readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { goneWithin } from '../../src/database/embedded/process-identity.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { startPostgres } from '../helpers/database.ts'
import { postgresUnder, processTree, signalTree } from '../helpers/processes.ts'
import { until } from '../helpers/wait.ts'
import type { ServerProcess } from './server-process.ts'

/** The Postgres behind the server under test, whoever started it, and what can be done to it. */
export interface Cluster {
  /** For the server: undefined when it brings its own. */
  readonly serverUrl: string | undefined
  /** For looking into the database. */
  url(): Promise<string>
  /** kill -9, all of it. */
  kill(): Promise<void>
  /** Runs again, unless it does so by itself. */
  revive(): Promise<void>
  freeze(): void
  thaw(): void
}

/**
 * Little WAL, so that a small disk holds it; and commits that take 20 ms, so that a kill finds some under way
 * (commit_delay is in µs).
 */
const SETTINGS = { min_wal_size: '32MB', max_wal_size: '64MB', commit_delay: '20000', commit_siblings: '0' }

/** A Postgres of its own with its data directory under `home`, reached through DATABASE_URL. */
export async function externalCluster(scope: Scope, home: string): Promise<Cluster> {
  const server = await startPostgres(scope, { settings: SETTINGS, home })
  const isUp = async () => {
    if (await answers(server.url())) return true
    if (postgresUnder(home).length > 0) return false // it recovers
    await server.stop() // what is left of one that ended by itself
    await server.start().catch(() => {})
    return false
  }
  return {
    serverUrl: server.url(),
    url: async () => server.url(),
    kill: () => server.kill(),
    revive: () => until('Postgres answers again', isUp),
    freeze: () => server.freeze(),
    thaw: () => server.thaw()
  }
}

async function answers(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, connect_timeout: 1, onnotice: () => {} })
  const answered = await sql`select 1`.then(
    () => true,
    () => false
  )
  await sql.end({ timeout: 0 })
  return answered
}

/** The Postgres that the server starts under `dataDir`, and starts again when it dies. */
export function embeddedCluster(scope: Scope, dataDir: string, server: () => ServerProcess): Cluster {
  const postmaster = () => postgresUnder(dataDir)[0]
  const signal = (name: NodeJS.Signals) => {
    const pid = postmaster()
    if (pid !== undefined) signalTree(pid, name)
  }
  // Outlives a server that was killed last.
  atEnd(scope, () => signal('SIGKILL'))
  return {
    serverUrl: undefined,
    url: async () => {
      const password = (await readFile(join(dataDir, 'postgres-password'), 'utf8')).trim()
      const { port } = server().logged('embedded Postgres is running')!
      return `postgres://demos_relay:${password}@127.0.0.1:${port}/demos_relay`
    },
    kill: async () => {
      const pid = postmaster()
      if (pid === undefined) return
      const everyone = processTree(pid)
      process.kill(pid, 'SIGKILL')
      await Promise.all(everyone.map((each) => goneWithin(each, 5_000)))
    },
    revive: () => until('the server starts its Postgres again', () => postmaster() !== undefined),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT')
  }
}

/** A small disk that can be filled up. */
export interface SmallDisk {
  fill(): Promise<void>
  /** Gives the space back. */
  empty(): Promise<void>
}

export function smallDisk(directory: string): SmallDisk {
  const ballast = join(directory, 'ballast')
  return {
    fill: async () => {
      const { bavail, bsize } = await statfs(directory)
      await writeFile(ballast, Buffer.alloc(bavail * bsize)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error // Postgres took some meanwhile: full all the same
      })
    },
    empty: () => rm(ballast, { force: true })
  }
}
