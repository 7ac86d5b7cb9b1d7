// What a backup needs of PostgreSQL: a connection of its own, and pg_dump or pg_restore of a version that fits.
import { execFile, spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { Pool, type Sql } from '../database/pool.ts'
import type { Log } from '../util/log.ts'

export type ProgramName = 'pg_dump' | 'pg_restore'

export interface Program {
  readonly path: string
  readonly major: number
}

/** Directories of one PostgreSQL each, which packages do not put into PATH. */
const HOMES = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/Library/PostgreSQL', '/usr']
const HOME = /^(?:\d+|postgresql(?:@\d+)?|pgsql-\d+)$/
const ignore = () => {}
const SILENT: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
const REMEMBERED_BYTES = 4_096

/** Runs work on one connection of its own: what is bound to a session holds until the work is done. */
export async function withConnection<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const pool = new Pool({ url, size: 1, statementMs: 0, log: SILENT })
  try {
    const sql = await pool.sql.reserve()
    return await work(sql)
  } finally {
    await pool.end(2_000)
  }
}

/** Major version of a server. */
export async function serverMajor(sql: Sql): Promise<number> {
  const [row] = await sql<{ version: number }[]>`select current_setting('server_version_num')::int as version`
  return Math.floor(row!.version / 10_000)
}

/** The newest migration a database has; undefined: none, so it is not one of ours. */
export async function schemaVersion(sql: Sql): Promise<number | undefined> {
  const [exists] = await sql`select from pg_class where oid = to_regclass('schema_migration')`
  if (exists === undefined) return undefined
  const [row] = await sql<{ version: number | null }[]>`select max(version) as version from schema_migration`
  return row?.version ?? undefined
}

/** The oldest program that is new enough. Throws with the versions that were found when none is. */
export async function findFitting(name: ProgramName, major: number, places = usualPlaces()): Promise<Program> {
  const programs = await Promise.all((await places).map((place) => versionOf(join(place, name))))
  const found = programs.filter((program) => program !== undefined).sort((a, b) => a.major - b.major)
  const fitting = found.find((program) => program.major >= major)
  if (fitting !== undefined) return fitting
  const others = found.map(({ path, major: other }) => `${other} (${path})`).join(', ')
  const what =
    others === '' ? `there is no ${name} on this machine` : `the ${name} programs on this machine are ${others}`
  throw new Error(
    `${what}, but PostgreSQL ${major} needs ${name} ${major} or newer: install postgresql-client-${major}`
  )
}

async function usualPlaces(): Promise<string[]> {
  const path = (process.env.PATH ?? '').split(delimiter).filter((place) => place !== '')
  const homes = await Promise.all(
    HOMES.map(async (parent) => {
      const names = await readdir(parent).catch(() => [])
      return names.filter((name) => HOME.test(name)).map((name) => join(parent, name, 'bin'))
    })
  )
  return [...new Set([...path, ...homes.flat(), '/usr/local/pgsql/bin'])]
}

async function versionOf(path: string): Promise<Program | undefined> {
  const answer = await promisify(execFile)(path, ['--version'], { timeout: 10_000 }).catch(() => undefined)
  const major = Number(/\s(\d+)(?:\.\d+|devel|beta\d+|rc\d+)/.exec(answer?.stdout ?? '')?.[1])
  return Number.isInteger(major) ? { path, major } : undefined
}

/** Runs one to its end. Throws with its last output when it fails. */
export async function runPostgresProgram(
  { path }: Program,
  args: readonly string[],
  databaseUrl: string,
  signal?: AbortSignal
): Promise<void> {
  const { url, password } = withoutPassword(databaseUrl)
  const env = { ...inherited(), LC_ALL: 'C', ...(password === undefined ? {} : { PGPASSWORD: password }) }
  const options = { env, stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'] }
  const child = spawn(path, [...args, `--dbname=${url}`], signal === undefined ? options : { ...options, signal })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-REMEMBERED_BYTES)
  })
  const ended = await new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, killed) => resolve(killed ?? String(code)))
  })
  if (ended !== '0') throw new Error(`${path} failed (${ended}): ${output.trim().split('\n').slice(-5).join(' | ')}`)
}

/** Only the variables that libpq reads: our environment holds our secrets. */
const inherited = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(PATH|HOME|TMPDIR|SYSTEMROOT|PG[A-Z]+)$/i.test(name))
  )

/** Every user of a machine can see the arguments of a process, but not its environment. */
export function withoutPassword(databaseUrl: string): { url: string; password: string | undefined } {
  const inQuery = /[?&]password=([^&]*)/.exec(databaseUrl)?.[1]
  const [, scheme = '', user = '', inUser, rest = ''] =
    /^(\w+:\/\/)([^:@/?]*)(?::([^@/?]*))?(@.*)$/s.exec(databaseUrl) ?? []
  const url = scheme === '' ? databaseUrl : `${scheme}${user}${rest}`
  const password = inUser ?? inQuery
  return {
    url: url.replace(/([?&])password=[^&]*(&|$)/, (_, before: string, after: string) => (after === '&' ? before : '')),
    password: password === undefined ? undefined : decodeURIComponent(password)
  }
}
