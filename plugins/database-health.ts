// plugins/database-health.ts: whether messages can be stored, as readiness tells it.
import { access, constants, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Database, DatabaseUnavailable } from '../src/database/database.ts'
import { migrationsFrom } from '../src/database/migrate.ts'
import { sqlState } from '../src/database/sql-state.ts'
import { probeWrite } from '../src/store/write-probe.ts'

export interface DatabaseHealthOptions {
  /** Where the node key and signed checkpoints are. */
  readonly dataDir: string
  /** The newest migration this server knows. */
  readonly newestMigration: number
}

/** How long a write that went through answers further probes, ms: each is a commit. */
const WRITTEN_MS = 1_000
/** How long what is known of the schema answers further probes, ms. */
const SCHEMA_MS = 5_000
/** Pages of one probe: one usually, many after the disk was full. */
const PAGES = { usual: 1, afterFull: 64 }

/** Reasons fit for strangers, by SQLSTATE. */
const REASONS: Readonly<Record<string, string>> = {
  '25006': 'the server takes no writes',
  '53100': 'the disk is full',
  '53200': 'the server is out of memory',
  '53300': 'the server takes no more connections',
  '55P03': 'a table is locked',
  '57014': 'no answer in time',
  '42P01': 'a table is missing',
  '42501': 'a right is missing'
}

export default fp<DatabaseHealthOptions>(
  async (app, options) => {
    const { database, readiness } = app
    const schema: Schema = { known: options.newestMigration, newer: [] }
    readiness.addDetails('schema', () => schema)
    readiness.addCheck(
      'database',
      once(() => connects(database))
    )
    readiness.addCheck(
      'writes',
      keptFor(
        WRITTEN_MS,
        once(() => writes(database))
      )
    )
    readiness.addCheck(
      'schema',
      keptFor(
        SCHEMA_MS,
        once(() => schemaFault(database, schema))
      )
    )
    readiness.addCheck(
      'files',
      keptFor(
        SCHEMA_MS,
        once(() => filesFault(options.dataDir))
      )
    )
    describe(app)
  },
  { name: 'database-health', fastify: '5.x', dependencies: ['database', 'health'] }
)

/** What readiness tells of migrations: the newest one this server knows, and those that a newer server has applied since. */
interface Schema {
  readonly known: number
  newer: number[]
}

type Ask = () => Promise<string | undefined>

/** One at a time: probes must not pile up behind something that hangs. */
function once(ask: Ask): Ask {
  let running: Promise<string | undefined> | undefined
  return () => {
    running ??= ask().finally(() => {
      running = undefined
    })
    return running
  }
}

/** What was fine answers for so long. */
function keptFor(ms: number, ask: Ask): Ask {
  let fineAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (performance.now() - fineAt < ms) return undefined
    const reason = await ask()
    if (reason === undefined) fineAt = performance.now()
    return reason
  }
}

const ROLES = { primary: undefined, standby: 'the server is a standby', 'read-only': 'the server is set to read only' }

async function connects(database: Database): Promise<string | undefined> {
  return database.within(database.urgent`select 1`).then(
    () => undefined,
    (error: unknown) => ROLES[database.role() ?? 'primary'] ?? reasonOf(error)
  )
}

async function writes(database: Database): Promise<string | undefined> {
  const wasFull = database.isDiskFull
  try {
    await database.within(probeWrite(database.urgent, wasFull ? PAGES.afterFull : PAGES.usual))
    if (wasFull) database.isDiskFull = false
    return undefined
  } catch (error) {
    return ROLES[database.role() ?? 'primary'] ?? reasonOf(error)
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof DatabaseUnavailable ? error.cause : error
  return REASONS[sqlState(cause) ?? ''] ?? (error instanceof DatabaseUnavailable ? 'no answer' : 'refused, see the log')
}

/** A newer server may have migrated the database while this one runs: what still works goes on. */
async function schemaFault(database: Database, schema: Schema): Promise<string | undefined> {
  const found = await database.within(migrationsFrom(database.urgent, schema.known))
  const newer = found.filter(({ version }) => version > schema.known)
  schema.newer = newer.map(({ version }) => version)
  if (newer.length === found.length) return 'the database is older than this server, restored perhaps: start it again'
  if (newer.some(({ breaks }) => breaks)) return 'a newer version has migrated the database: start that one here, too'
  return undefined
}

async function filesFault(directory: string): Promise<string | undefined> {
  const probe = join(directory, `.probe-${process.pid}`)
  try {
    await access(directory, constants.R_OK)
    await writeFile(probe, Buffer.alloc(4_096))
    await rm(probe)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    await rm(probe, { force: true }).catch(() => {})
    return code === 'ENOSPC' ? 'the disk of the data directory is full' : `the data directory takes no writes (${code})`
  }
}

function describe({ database, readiness }: FastifyInstance): void {
  readiness.addDetails('database', () => ({
    role: database.role() ?? 'unknown',
    postgres: Math.floor((database.server()?.version ?? 0) / 10_000),
    embedded: database.embedded,
    pooler: database.isPooledByTransaction ? 'transaction' : 'none or session',
    connections: database.stats().connections
  }))
}
