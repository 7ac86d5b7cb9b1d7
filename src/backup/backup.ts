// demos-relay backup: copies everything that a server has into one directory.
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { loadNodeKey, nodeIdentity, nodeVerifier } from '../audit/node-key.ts'
import { nodeKeyFile } from '../config/files.ts'
import type { Config } from '../config/schema.ts'
import { verifierLine } from '../tlog/note.ts'
import type { Log } from '../util/log.ts'
import { VERSION } from '../util/package-root.ts'
import { CLUSTER, copyCluster, PASSWORD, withEmbedded } from './cluster.ts'
import { type Facts, MANIFEST, type Manifest, manifestText, type Part, PLATFORM, parseManifest } from './manifest.ts'
import { copyPart, measurePart, type Progress } from './parts.ts'
import { findPlaces } from './places.ts'
import { findFitting, runPostgresProgram, schemaVersion, serverMajor, withConnection } from './postgres.ts'

export const DUMP = 'database.dump'
const WATCH_MS = 500

export interface BackupIo {
  readonly config: Config
  readonly progress: Progress
  readonly log: Log
  readonly signal: AbortSignal
}

type Saved = Pick<Facts, 'kind' | 'schema' | 'postgres' | 'directories' | 'parts'>

/**
 * Writes a backup into a new directory; returns its manifest. It appears under its name when it is whole, and never in
 * place of another one.
 */
export async function backUp(to: string, io: BackupIo): Promise<Manifest> {
  const target = resolve(to)
  await refuseExisting(target)
  const draft = `${target}.unfinished`
  await mkdir(dirname(target), { recursive: true })
  await mkdir(draft, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
    throw new Error(
      `${draft} is there: a backup under way, or the rest of one that was cut short. Remove it if it is a rest`
    )
  })
  try {
    const text = manifestText(await saveAll(draft, io))
    await writeFile(join(draft, MANIFEST), text, { mode: 0o600, flag: 'wx', flush: true })
    await syncDirectory(draft)
    await refuseExisting(target)
    await rename(draft, target)
    await syncDirectory(dirname(target))
    return parseManifest(text)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw io.signal.aborted ? new Error('interrupted, nothing was kept') : error
  }
}

async function refuseExisting(target: string): Promise<void> {
  const found = await lstat(target).catch(() => undefined)
  if (found === undefined) return
  const isEmpty = found.isDirectory() && (await readdir(target)).length === 0
  if (!isEmpty) throw new Error(`${target} is there already: a backup never replaces anything, name a new directory`)
}

/**
 * Saves first the files, then the database. So the backup has the records of every checkpoint in it, also of one that was
 * signed meanwhile.
 */
async function saveAll(draft: string, io: BackupIo): Promise<Facts> {
  const { config } = io
  const createdAt = new Date().toISOString()
  const key = nodeKeyFile(config.DATA_DIR, config.NODE_KEY_FILE)
  const places = await findPlaces(config)
  const parts: Part[] = []
  for (const { path, file } of places) parts.push(await copyPart(file, join(draft, path), path, io.signal))
  const verifier = places.some(({ file }) => file === key)
    ? verifierLine(nodeVerifier(nodeIdentity(await loadNodeKey(key), config.AUDIT_ORIGIN)))
    : null
  const saved = await (config.DATABASE_URL === undefined
    ? saveCluster(draft, io)
    : saveDump(config.DATABASE_URL, draft, io))
  return {
    ...saved,
    ...{ createdAt, demosRelay: VERSION, platform: PLATFORM, verifier },
    parts: [...parts, ...saved.parts]
  }
}

async function saveDump(url: string, draft: string, { progress, signal }: BackupIo): Promise<Saved> {
  const { server, schema } = await withConnection(url, async (sql) => ({
    server: await serverMajor(sql),
    schema: await schemaOf(sql)
  }))
  const program = await findFitting('pg_dump', server)
  const file = join(draft, DUMP)
  await writeFile(file, '', { mode: 0o600, flag: 'wx' }) // pg_dump alone would make it readable for all
  const watch = setInterval(async () => {
    const { size } = await lstat(file).catch(() => ({ size: 0 }))
    progress(`dumping the database: ${size} bytes so far`)
  }, WATCH_MS)
  try {
    await runPostgresProgram(
      program,
      ['--format=custom', '--no-owner', '--no-privileges', `--file=${file}`],
      url,
      signal
    )
  } finally {
    clearInterval(watch)
  }
  await chmod(file, 0o600)
  const parts = [await measurePart(file, DUMP)]
  return { kind: 'dump', schema, postgres: { server, dumpedBy: program.major }, directories: [], parts }
}

async function saveCluster(draft: string, { config, log, progress, signal }: BackupIo): Promise<Saved> {
  const { DATA_DIR: dataDir } = config
  if (!existsSync(join(dataDir, CLUSTER, 'PG_VERSION'))) {
    throw new Error(
      `there is no embedded database in ${dataDir}: set DATA_DIR, or DATABASE_URL, to what the server has`
    )
  }
  return withEmbedded(dataDir, log, (url) =>
    withConnection(url, async (sql) => {
      const schema = await schemaOf(sql)
      const server = await serverMajor(sql)
      const password = await copyPart(join(dataDir, PASSWORD), join(draft, PASSWORD), PASSWORD, signal)
      await mkdir(join(draft, CLUSTER), { mode: 0o700 })
      const { parts, directories } = await copyCluster(sql, { dataDir, backup: draft, progress, signal })
      return { kind: 'cluster', schema, postgres: { server }, directories, parts: [password, ...parts] }
    })
  )
}

async function schemaOf(sql: Parameters<typeof schemaVersion>[0]): Promise<number> {
  const schema = await schemaVersion(sql)
  if (schema === undefined) throw new Error('the database is not one of demos-relay: there is nothing to back up')
  return schema
}

/** Names must survive a power cut too. Windows cannot, and need not, sync a directory. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  await handle.sync().finally(() => handle.close())
}
