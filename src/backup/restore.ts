// demos-relay restore: a backup becomes a server again.
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { rememberedFrom } from '../audit/checkpoint-file.ts'
import type { Config } from '../config/schema.ts'
import { lockDataDirectory } from '../database/embedded/data-directory-lock.ts'
import { MAJOR } from '../database/embedded/embedded-postgres.ts'
import { type Account, postgresAccount } from '../database/embedded/postgres-account.ts'
import { isPostgresOn } from '../database/embedded/process-identity.ts'
import { newestMigration } from '../database/migrate.ts'
import type { Sql } from '../database/pool.ts'
import type { Log } from '../util/log.ts'
import { packageFile } from '../util/package-root.ts'
import { DUMP } from './backup.ts'
import { CLUSTER, PASSWORD, withEmbedded } from './cluster.ts'
import { MANIFEST, type Manifest, PLATFORM, parseManifest } from './manifest.ts'
import { copyPart, type Progress, verifyParts } from './parts.ts'
import { contents, type Place, placeOf } from './places.ts'
import { findFitting, runPostgresProgram, serverMajor, withConnection } from './postgres.ts'

export interface RestoreIo {
  readonly config: Config
  /** Put aside, or out of the database, what is in the way. */
  readonly replace: boolean
  readonly progress: Progress
  readonly log: Log
  readonly signal: AbortSignal
}

export interface Restored {
  readonly manifest: Manifest
  readonly counts: Counts
  /** Where what was in the way is now. */
  readonly aside: string | undefined
  /** Networks whose checkpoint here is newer than the backup's, and was kept. */
  readonly keptCheckpoints: readonly string[]
}

export interface Counts {
  readonly waiting: number
  readonly identities: number
  readonly networks: number
}

/** Reads the manifest and holds every file against it. Throws with the first fault. */
export async function readBackup(from: string, progress: Progress): Promise<Manifest> {
  const text = await readFile(join(from, MANIFEST), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${from} is not a backup: ${MANIFEST} cannot be read (${error.code})`)
  })
  const manifest = parseManifest(text)
  await verifyParts(from, manifest, progress)
  return manifest
}

/** Restores a backup under the settings. Whatever could be refused is checked before anything is changed. */
export async function restore(from: string, io: RestoreIo): Promise<Restored> {
  const backup = resolve(from)
  const manifest = await readBackup(backup, io.progress)
  await refuseUnfit(manifest, io.config)
  await mkdir(io.config.DATA_DIR, { recursive: true })
  const home = await realpath(resolve(io.config.DATA_DIR))
  const plan = await planFiles(manifest, backup, io)
  const aside = join(home, `before-restore-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`)
  const moves = [...plan.inTheWay]
  if (manifest.kind === 'cluster') {
    const unlock = lockDataDirectory(home) // a server that runs is refused
    try {
      moves.push(...clusterInTheWay(home, io.replace))
      await placeCluster(backup, manifest, home, () => putAside(moves, aside, home), io)
    } finally {
      unlock()
    }
  } else {
    await onTarget(io, (url) => restoreDump(backup, manifest, url, io))
    await putAside(moves, aside, home)
  }
  for (const { path, file } of plan.wanted) await placeFile(join(backup, path), path, file)
  const counts = await onTarget(io, (url) => withConnection(url, countAll))
  return { manifest, counts, aside: moves.length > 0 ? aside : undefined, keptCheckpoints: plan.kept }
}

const onTarget = <T>({ config, log }: RestoreIo, work: (url: string) => Promise<T>): Promise<T> =>
  config.DATABASE_URL === undefined ? withEmbedded(config.DATA_DIR, log, work) : work(config.DATABASE_URL)

async function refuseUnfit({ kind, schema, postgres, platform, demosRelay }: Manifest, config: Config): Promise<void> {
  const ours = await newestMigration(packageFile('migrations'))
  if (schema > ours) {
    throw new Error(
      `the backup is of demos-relay ${demosRelay}, with migration ${schema}; this one knows up to ${ours}: use a newer one`
    )
  }
  if (kind === 'dump') return
  if (config.DATABASE_URL !== undefined) {
    throw new Error(
      'the backup holds the files of an embedded database, which DATABASE_URL cannot take: unset it for the restore'
    )
  }
  if (String(postgres.server) !== MAJOR) {
    throw new Error(
      `the backup holds files of PostgreSQL ${postgres.server}, the embedded one is ${MAJOR}: use the version that made it`
    )
  }
  if (platform !== PLATFORM) {
    throw new Error(
      `the backup holds database files of ${platform}, this is ${PLATFORM}: restore it on a machine of its kind`
    )
  }
}

interface FilePlan {
  readonly wanted: readonly Place[]
  readonly inTheWay: readonly string[]
  readonly kept: readonly string[]
}

/** Which files come back, which stay, and which are in the way of other ones. Refuses the latter unless told. */
async function planFiles({ parts }: Manifest, backup: string, { config, replace }: RestoreIo): Promise<FilePlan> {
  const wanted: Place[] = []
  const inTheWay: string[] = []
  const kept: string[] = []
  for (const { path } of parts) {
    const file = placeOf(path, config)
    if (file === undefined) continue
    const [there, saved] = [await contents(file), await readFile(join(backup, path))]
    if (there?.equals(saved)) continue
    const newer = there === undefined || !path.startsWith('audit/') ? undefined : newerCheckpoint(there, saved)
    if (newer?.isHere) kept.push(newer.network)
    else {
      wanted.push({ path, file })
      if (there !== undefined && newer === undefined) inTheWay.push(file)
    }
  }
  if (inTheWay.length > 0 && !replace) {
    throw new Error(
      `${inTheWay.join(', ')} is there already and is another one: --replace puts what is in the way aside`
    )
  }
  return { wanted, inTheWay, kept }
}

/** Of two checkpoints of one log the newer one is always kept: it was signed. */
function newerCheckpoint(there: Buffer, saved: Buffer): { network: string; isHere: boolean } | undefined {
  try {
    const [here, back] = [rememberedFrom(there.toString()), rememberedFrom(saved.toString())]
    const name = ({ origin }: { origin: string }) => origin.replace(/@\d+$/, '')
    if (name(here) !== name(back)) return undefined
    return {
      network: here.network,
      isHere: here.epoch > back.epoch || (here.epoch === back.epoch && here.size >= back.size)
    }
  } catch {
    return undefined
  }
}

function clusterInTheWay(home: string, replace: boolean): string[] {
  const there = [CLUSTER, PASSWORD].map((name) => join(home, name)).filter((path) => existsSync(path))
  if (there.length > 0 && !replace) {
    throw new Error(
      `${home} holds an embedded database already: --replace puts it aside, or set DATA_DIR to an empty directory`
    )
  }
  return there
}

async function putAside(files: readonly string[], aside: string, home: string): Promise<void> {
  for (const file of files) {
    const name = file.startsWith(home) ? file.slice(home.length + 1) : file.replaceAll(/[/\\:]/g, '_')
    const to = join(aside, name)
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await rename(file, to)
  }
}

/** Copies the cluster beside its place and moves it there whole, as the first start makes one. */
async function placeCluster(
  backup: string,
  { parts, directories }: Manifest,
  home: string,
  makeRoom: () => Promise<void>,
  { log, progress, signal }: RestoreIo
): Promise<void> {
  const place = join(home, CLUSTER)
  const pid = Number((await contents(join(place, 'postmaster.pid')))?.toString().split('\n')[0])
  if (isPostgresOn(pid, place)) {
    throw new Error(
      `the PostgreSQL of a server that was killed still runs (process id ${pid}): end it with kill -INT ${pid}`
    )
  }
  const account = await postgresAccount(place, log)
  const draft = join(home, `${CLUSTER}.restored`)
  await rm(draft, { recursive: true, force: true })
  const inDraft = (path: string) => join(draft, path.slice(CLUSTER.length))
  for (const directory of directories) await mkdir(inDraft(directory), { recursive: true, mode: 0o700 })
  const files = parts.filter(({ path }) => path.startsWith(`${CLUSTER}/`))
  for (const [at, { path }] of files.entries()) {
    progress(`restoring the database: ${at + 1} of ${files.length} files`)
    await copyPart(join(backup, path), inDraft(path), path, signal)
  }
  await hand(account, [draft, ...[...directories, ...files.map(({ path }) => path)].map(inDraft)])
  await makeRoom()
  await copyPart(join(backup, PASSWORD), join(home, PASSWORD), PASSWORD)
  await rename(draft, place)
}

/** Gives files to the user that PostgreSQL runs as, when that is not us. */
async function hand({ uid, gid }: Account, paths: readonly string[]): Promise<void> {
  if (uid === undefined) return
  for (const path of paths) await chown(path, uid, gid ?? uid)
}

/** In one transaction: it is all there, or nothing has changed. */
async function restoreDump(backup: string, { postgres }: Manifest, url: string, io: RestoreIo): Promise<void> {
  const { replace, progress, signal } = io
  await withConnection(url, async (sql) => {
    const major = await serverMajor(sql)
    if (major < postgres.server) {
      throw new Error(
        `the backup is of PostgreSQL ${postgres.server}, this database is of ${major}: restore it into ${postgres.server} or newer`
      )
    }
    await refuseOccupied(sql, replace)
  })
  const program = await findFitting('pg_restore', postgres.dumpedBy ?? postgres.server)
  progress('restoring the database')
  const clean = replace ? ['--clean', '--if-exists'] : []
  const args = ['--single-transaction', '--exit-on-error', '--no-owner', '--no-privileges', ...clean]
  await runPostgresProgram(program, [...args, join(backup, DUMP)], url, signal)
}

async function refuseOccupied(sql: Sql, replace: boolean): Promise<void> {
  const [tables] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'S') and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'`
  if (tables!.count === 0) return
  if (!replace)
    throw new Error(
      `the database is not empty (${tables!.count} tables): --replace drops what the backup holds too, or name an empty one`
    )
  const [others] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`
  if (others!.count > 0) throw new Error(`${others!.count} others are connected to the database: stop the server first`)
}

/** In one step, so that no reader ever sees half of a key. */
async function placeFile(from: string, path: string, file: string): Promise<void> {
  const draft = `${file}.${process.pid}.new`
  await rm(draft, { force: true })
  await copyPart(from, draft, path)
  await rename(draft, file)
}

async function countAll(sql: Sql): Promise<Counts> {
  const [counts] = await sql<Counts[]>`
    select (select count(*)::int from queue_entry) as waiting, (select count(*)::int from identity) as identities,
      (select count(*)::int from l2ps_network) as networks`
  return { ...counts! }
}
