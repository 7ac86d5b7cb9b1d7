// pg_dump and pg_restore: which of them on this machine fits, and how they are run.
import { execFile, spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

export type ProgramName = 'pg_dump' | 'pg_restore'

export interface Program {
  readonly path: string
  readonly major: number
}

/** Directories of one PostgreSQL each, which packages do not put into PATH. */
const HOMES = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt', '/Library/PostgreSQL', '/usr']
const HOME = /^(?:\d+|postgresql(?:@\d+)?|pgsql-\d+)$/
const REMEMBERED_BYTES = 4_096

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

/** Runs one to its end. Throws with its last words when it fails. */
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
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-REMEMBERED_BYTES)
  })
  const ended = await new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, killed) => resolve(killed ?? String(code)))
  })
  if (ended !== '0') throw new Error(`${path} failed (${ended}): ${words.trim().split('\n').slice(-5).join(' | ')}`)
}

/** What libpq looks at, and no more: our environment holds our secrets. */
const inherited = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(PATH|HOME|TMPDIR|SYSTEMROOT|PG[A-Z]+)$/i.test(name))
  )

/** Arguments of a process are for everybody to see; its environment is not. */
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
