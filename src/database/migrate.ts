import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from '../util/start-error.ts'
import type { Sql, TransactionSql } from './pool.ts'
import { sqlState } from './sql-state.ts'

interface Migration {
  version: number
  name: string
  text: string
  checksum: string
  /** Does an older server stop working, as its header says? */
  breaks: boolean
}

/** What a role needs to make our tables. */
const GRANT =
  'The role may not make tables here: "grant create, usage on schema NAME to ROLE", or give it a schema of its own'

/** Any number, the same in every version of this server. */
export const MIGRATION_LOCK = 30_053_006
/** Held while a relay runs, shared where it belongs to a cluster (src/cluster/relay-lock.ts). */
export const RELAY_LOCK = 30_053_012

/**
 * Brings the schema up to date with the files `NNNN_name.sql` of a directory, in the order of their numbers; returns
 * the names of those it applied. Each file runs in a transaction of its own together with the note that it ran, under
 * an advisory lock: any number of servers may do this at once. Throws `StartError` where the database has others than these.
 *
 * Why not postgrator: it writes that note in a separate statement, wants other file names, takes no lock, and says
 * nothing when the database is ahead of the files.
 */
export async function migrate(sql: Sql, directory: string): Promise<string[]> {
  const migrations = await readMigrations(directory)
  const applied: string[] = []
  for (;;) {
    const name = await sql.begin((tx) => applyNext(tx, migrations))
    if (name === undefined) return applied
    applied.push(name)
  }
}

async function applyNext(tx: TransactionSql, migrations: readonly Migration[]): Promise<string | undefined> {
  // Building an index, or waiting for another server that does, takes as long as it takes.
  await tx`set local statement_timeout = 0`
  await tx`set local lock_timeout = 0`
  await tx`select pg_advisory_xact_lock(${MIGRATION_LOCK})`
  const next = migrations[await countApplied(tx, migrations)]
  if (!next) return undefined
  if (next.breaks) await refuseWhileRelaysRun(tx, next.name)
  try {
    await tx.unsafe(next.text)
  } catch (cause) {
    throw failureOf(next.name, cause as Error)
  }
  await tx`
    insert into schema_migration (version, name, checksum, breaks)
    values (${next.version}, ${next.name}, ${next.checksum}, ${next.breaks})`
  return next.name
}

/** A relay that does not know the migration could not go on. */
async function refuseWhileRelaysRun(tx: TransactionSql, name: string): Promise<void> {
  const [lock] = await tx`
    select from pg_locks
    where locktype = 'advisory' and classid = 0 and objid = ${RELAY_LOCK} and objsubid = 1 and granted
      and database = (select oid from pg_database where datname = current_database())`
  const [table] = await tx`select from pg_class where oid = to_regclass('relay')`
  const [lease] = table === undefined ? [] : await tx`select from relay where lease_until > now()`
  if (lock === undefined && lease === undefined) return
  throw new StartError(
    `migration ${name} changes what running relays rely on, and at least one runs over this database. Stop all of them, then start this one`
  )
}

function failureOf(name: string, cause: Error): Error {
  const what = `migration ${name} failed: ${cause.message}`
  const state = sqlState(cause)
  if (state === '42501') return new StartError(`${what}. ${GRANT}`, { cause })
  if (state !== '42P07') return new Error(what, { cause })
  return new StartError(
    `${what}. Somebody else's tables are in this schema: give the role one of its own, "create schema NAME authorization ROLE; alter role ROLE set search_path = NAME"`,
    { cause }
  )
}

/** How many migrations the database has, after checking that they are the first ones of ours. */
async function countApplied(tx: TransactionSql, migrations: readonly Migration[]): Promise<number> {
  const [exists] = await tx`select from pg_class where oid = to_regclass('schema_migration')`
  if (!exists) {
    const creating = tx`
      create table schema_migration (
        version    integer     primary key,
        name       text        not null,
        checksum   text        not null, -- SHA-256 of the file, its lines ended by LF
        breaks     boolean     not null default false, -- a server that does not know it cannot go on
        applied_at timestamptz not null default now()
      )`
    await creating.catch((cause: Error) => {
      throw sqlState(cause) === '42501' ? new StartError(`${cause.message}. ${GRANT}`, { cause }) : cause
    })
  }
  await addBreaks(tx)
  const applied = await tx<
    Omit<Migration, 'text' | 'breaks'>[]
  >`select version, name, checksum from schema_migration order by version`
  const newest = migrations.at(-1)?.version ?? 0
  for (const [place, { version, name, checksum }] of applied.entries()) {
    if (version > newest) {
      throw new StartError(
        `the database has migration ${name}, this demos-relay knows up to ${newest}: use a newer one`
      )
    }
    const ours = migrations[place]
    if (ours?.version !== version) {
      throw new StartError(`the database has migration ${name} where the files have ${ours?.name}`)
    }
    if (ours.checksum !== checksum) {
      throw new StartError(`migration ${name} was edited after it was applied: put the change into a new file`)
    }
  }
  return applied.length
}

/** Databases of version 0.1 do not have the column. */
async function addBreaks(tx: TransactionSql): Promise<void> {
  const [column] = await tx`
    select from pg_attribute where attrelid = to_regclass('schema_migration') and attname = 'breaks' and not attisdropped`
  if (!column) await tx`alter table schema_migration add column breaks boolean not null default false`
}

/** The migrations from this one on, and whether a server that does not know them can go on. */
export async function migrationsFrom(sql: Sql, version: number): Promise<{ version: number; breaks: boolean }[]> {
  return sql<{ version: number; breaks: boolean }[]>`
    select version, breaks from schema_migration where version >= ${version} order by version`
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort()
  const migrations = await Promise.all(names.map((name) => readMigration(directory, name)))
  for (const [place, { version, name }] of migrations.entries()) {
    if (version === migrations[place - 1]?.version) throw new Error(`two migrations have the number of ${name}`)
  }
  return migrations
}

async function readMigration(directory: string, name: string): Promise<Migration> {
  const number = /^(\d{4})_[a-z0-9_]+\.sql$/.exec(name)?.[1]
  if (number === undefined) throw new Error(`migration ${name} is not named like 0001_what_it_makes.sql`)
  const text = (await readFile(join(directory, name), 'utf8')).replaceAll('\r\n', '\n')
  const breaks = /^-- .*Breaking for a running older server: yes/m.test(text)
  return { version: Number(number), name, text, breaks, checksum: createHash('sha256').update(text).digest('hex') }
}

/** The number of the newest migration in a directory. */
export async function newestMigration(directory: string): Promise<number> {
  return (await readMigrations(directory)).at(-1)?.version ?? 0
}
