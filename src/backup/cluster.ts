// The embedded database's files, copied while it runs: PostgreSQL's low-level base backup (manual, "Making a Base Backup
// Using the Low Level API"). It needs only the server program: the npm package brings no pg_dump.
import { randomBytes } from 'node:crypto'
import { readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DataDirectoryInUse } from '../database/embedded/data-directory-lock.ts'
import { embeddedUrl, startEmbeddedPostgres } from '../database/embedded/embedded-postgres.ts'
import type { Sql } from '../database/pool.ts'
import type { Log } from '../util/log.ts'
import type { Part } from './manifest.ts'
import { copyPart, filesBelow, measurePart, type Progress } from './parts.ts'

export const CLUSTER = 'postgres'
export const PASSWORD = 'postgres-password'

/** Directories whose contents belong to a running server alone; of WAL only what was written meanwhile is needed. */
const EMPTIED = /^(pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\//
const LEFT_OUT =
  /^(postmaster\.(pid|opts)|backup_label.*|tablespace_map.*)$|(^|\/)(pgsql_tmp[^/]*|pg_internal\.init[^/]*)(\/|$)/
/** Copied last, as pg_basebackup does: it says up to which point the others are complete. */
const CONTROL = 'global/pg_control'
const SEGMENT = /^[0-9A-F]{24}$/

/** Runs work with the embedded database: on that of a server that runs, or, when none does, on our own for a moment. */
export async function withEmbedded<T>(dataDir: string, log: Log, work: (url: string) => Promise<T>): Promise<T> {
  try {
    const embedded = await startEmbeddedPostgres(dataDir, log, { lockWaitMs: 0 })
    try {
      return await work(embedded.url())
    } finally {
      await embedded.stop()
    }
  } catch (error) {
    if (!(error instanceof DataDirectoryInUse)) throw error
    return work(await runningUrl(dataDir))
  }
}

async function runningUrl(dataDir: string): Promise<string> {
  const [pid, password] = await Promise.all(
    [join(CLUSTER, 'postmaster.pid'), PASSWORD].map((name) => readFile(join(dataDir, name), 'utf8').catch(() => ''))
  )
  const port = Number(pid!.split('\n')[3])
  if (!Number.isInteger(port) || port <= 0) throw new Error(`a server just starts or stops in ${dataDir}: try again`)
  return embeddedUrl(password!.trim(), port)
}

export interface ClusterCopy {
  readonly parts: Part[]
  readonly directories: string[]
}

/** Copies the cluster of `dataDir`, which runs and answers on `sql`, to `backup`/postgres. */
export async function copyCluster(
  sql: Sql,
  { dataDir, backup, progress, signal }: { dataDir: string; backup: string; progress: Progress; signal: AbortSignal }
): Promise<ClusterCopy> {
  const from = join(await realpath(resolve(dataDir)), CLUSTER)
  // Until this session ends, no WAL written from now on is recycled.
  await sql`select pg_create_physical_replication_slot(${`backup_${randomBytes(6).toString('hex')}`}, true, true)`
  const [begun] = await sql<{ segment: string }[]>`
    select pg_walfile_name(pg_backup_start('demos-relay backup', true)) as segment`
  const { files, directories } = await filesBelow(from)
  const wanted = files.filter((file) => !EMPTIED.test(file) && !LEFT_OUT.test(file) && file !== CONTROL)
  const parts: Part[] = []
  const copy = async (file: string) => {
    const part = await copyUnlessGone(join(from, file), join(backup, CLUSTER, file), `${CLUSTER}/${file}`, signal)
    if (part !== undefined) parts.push(part)
  }
  for (const [at, file] of [...wanted, CONTROL].entries()) {
    progress(`copying the database: ${at + 1} of ${wanted.length + 1} files`)
    await copy(file)
  }
  const [ended] = await sql<{ segment: string; label: string; map: string }[]>`
    select pg_walfile_name(lsn) as segment, labelfile as label, spcmapfile as map from pg_backup_stop(false)`
  if (ended!.map !== '')
    throw new Error('the database has tablespaces, which demos-relay does not make: use pg_basebackup')
  const { files: now } = await filesBelow(join(from, 'pg_wal'))
  const segments = now.filter((name) => SEGMENT.test(name) && name >= begun!.segment && name <= ended!.segment)
  if (!segments.includes(ended!.segment)) throw new Error(`the write-ahead log ${ended!.segment} is missing`)
  for (const segment of segments) await copy(`pg_wal/${segment}`)
  const label = join(backup, CLUSTER, 'backup_label')
  await writeFile(label, ended!.label, { mode: 0o600, flag: 'wx', flush: true })
  parts.push(await measurePart(label, `${CLUSTER}/backup_label`))
  const kept = directories.filter((name) => !LEFT_OUT.test(`${name}/`) && !/^pg_(replslot|dynshmem)\//.test(name))
  return { parts, directories: [CLUSTER, ...kept.map((name) => `${CLUSTER}/${name}`)] }
}

/** A table that is dropped meanwhile need not be in the backup: the write-ahead log has the drop. */
async function copyUnlessGone(from: string, to: string, path: string, signal: AbortSignal): Promise<Part | undefined> {
  try {
    return await copyPart(from, to, path, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await rm(to, { force: true })
    return undefined
  }
}
