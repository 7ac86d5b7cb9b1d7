import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import type { Log } from '../util/log.ts'
import { StartError } from '../util/start-error.ts'
import { CannotConnect, checkDefaults, findPooler, NO_TLS, type Pooler, type Role } from './connect.ts'
import { type Target, targetOf } from './connection-string.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/embedded-postgres.ts'
import { Pool, type ReservedListener, type ReservedSql, type Sql } from './pool.ts'
import { ConnectionLost } from './postgres-socket.ts'
import type { ServerFacts } from './session-settings.ts'
import { sqlState } from './sql-state.ts'

export type { AnySql, ReservedListener, ReservedSql, Sql, TransactionSql } from './pool.ts'

export interface DatabaseSettings {
  /** Connection string, or what reads it anew at each connect; undefined: an embedded PostgreSQL under `dataDir`. */
  url: string | (() => string) | undefined
  /** How a pooler before the database shares connections. Default: found out. */
  pooler?: 'session' | 'transaction' | undefined
  dataDir: string
  /** Connections to PostgreSQL. */
  poolSize: number
  /** Longest wait for a query, in ms. */
  deadlineMs: number
  /** Aborted while the server starts: it is not to start any more, so nothing is waited for. */
  stopped?: AbortSignal | undefined
}

/** No answer in time, or no connection. The query may or may not have been carried out. The cause is for the log. */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable'
}

export interface Database {
  readonly sql: Sql
  /** The same, before all that waits for a connection: for questions about the state of the server. */
  readonly urgent: Sql
  /** Is it the PostgreSQL that we run ourselves? */
  readonly embedded: boolean
  /**
   * A pooler gives each transaction another server process: there are no session locks, no `listen` and no settings of a
   * session, and `sql.reserve()` has no process of its own.
   */
  readonly isPooledByTransaction: boolean
  /** Longest wait for a query, in ms. */
  readonly deadlineMs: number
  /**
   * The result of a query or transaction, or `DatabaseUnavailable` after `ms` (default: the deadline of the settings).
   * Less than the deadline is the patience of the caller alone: nobody else is refused for it.
   * Whatever becomes of an abandoned query later is ignored. Statements that want longer than the deadline raise
   * `statement_timeout` in their transaction; past three deadlines their connection may be taken for dead.
   */
  within<T>(query: PromiseLike<T>, ms?: number): Promise<T>
  /**
   * Runs a query within the deadline, but fails with `DatabaseUnavailable` at once when another query got no answer a
   * moment ago. For queries that one peer causes one after the other: the peer must not wait a deadline for each.
   * Only for queries that change nothing: when the connection is lost, the query is asked once more.
   */
  ask<T>(query: () => PromiseLike<T>): Promise<T>
  /**
   * A connection of its own, beside the pool, until `release()`: for session locks, and to listen. `DatabaseUnavailable`
   * after the deadline; a connection that comes later is closed.
   */
  reserve(listener?: ReservedListener): Promise<ReservedSql>
  /** Open connections, and how many queries ended in `DatabaseUnavailable`. */
  stats(): { connections: number; unanswered: number }
  /** Has a query failed for want of room on the server's disk? Stays until somebody finds that there is room again. */
  isDiskFull: boolean
  /** The server of the newest connection. */
  server(): ServerFacts | undefined
  /** What the server was at the last attempt to connect; undefined: none answered. */
  role(): Role | undefined
  /** Lets queries in progress finish, then disconnects and stops the embedded PostgreSQL. At most about 20 seconds. */
  close(): Promise<void>
}

/** SQLSTATE disk_full. */
const DISK_FULL = '53100'
const FIRST_ANSWER_LIMIT_MS = 20_000
/** A start that waits for PostgreSQL says so this often, in ms. */
const SAID_AGAIN_MS = 4_000
const CLOSE_LIMIT_MS = 5_000
/** A connection that has been silent for so many deadlines will not answer any more. */
const SILENT_DEADLINES = 3
/** How long `ask` fails at once after a query got no answer, in ms. */
const PAUSE_MS = 1_000
/** Answers count as a recovery once there has been no failure for this long. */
const CALM_MS = 1_000

/** SQLSTATE: waiting does not help. */
const FOR_GOOD: Readonly<Record<string, string>> = {
  '28P01': 'the user name or the password is wrong: correct DATABASE_URL',
  '3D000': 'it has no database of that name: create it, or correct DATABASE_URL',
  '42501': 'the user may not connect to that database: grant connect',
  [NO_TLS]: 'it does not speak TLS: turn that on there ("ssl = on"), or correct the sslmode of DATABASE_URL'
}

/**
 * Opens the database, waiting for a PostgreSQL that is just starting. Throws `StartError`; an error never holds the
 * connection string.
 */
export async function openDatabase(settings: DatabaseSettings, log: Log): Promise<Database> {
  const embedded = settings.url === undefined ? await startEmbeddedPostgres(settings.dataDir, log) : undefined
  try {
    const url = settings.url ?? embedded!.url()
    const target = targetOf(url)
    for (const warning of target().warnings) log.warn({}, warning)
    const { stopped } = settings
    const stop = givenUp(stopped)
    const pooler = embedded ? 'none' : await patiently(() => poolerOf(settings.pooler, target()), log, stop)
    const pool = new Pool({ url, pooler, size: settings.poolSize, statementMs: settings.deadlineMs, log })
    stopped?.addEventListener('abort', () => void pool.end(0))
    const database = new PooledDatabase(pool, pooler, embedded, settings.deadlineMs, log)
    try {
      await patiently(() => database.within(database.sql`select 1`), log, stop)
    } catch (error) {
      await pool.end(0)
      throw error
    }
    return database
  } catch (error) {
    await embedded?.stop()
    throw error
  }
}

/** What may pass, by what the server is or its SQLSTATE, and what helps where it does not. */
const REMEDIES: Readonly<Record<string, string>> = {
  standby: 'Name its primary in DATABASE_URL, too',
  'read-only': 'Run "alter database NAME reset default_transaction_read_only", or the same of the role or the server',
  '53300': 'Let the role, the database and the server have more connections',
  '55000': 'Let it accept them ("alter database NAME allow_connections true"), or correct DATABASE_URL'
}

function reasonForGood({ code = '', message }: Error & { code?: string }): string | undefined {
  if (code === '28000') return `${message}: see its pg_hba.conf and the role, or correct DATABASE_URL`
  // Syntax error, unknown name, value that is not taken: nothing else of ours can be wrong so early.
  if (/^(42601|42704|22023)$/.test(code)) return `${message}: correct the parameter "options" of DATABASE_URL`
  if (!/CERT|UNABLE_TO_(GET|VERIFY)/.test(code)) return FOR_GOOD[code]
  return `its certificate is not trusted (${code}): correct sslrootcert, the name of the host, or sslmode`
}

async function poolerOf(given: DatabaseSettings['pooler'], target: Target): Promise<Pooler> {
  if (given === undefined) return findPooler(target)
  if (given === 'transaction') await checkDefaults(target)
  return given
}

/** Rejects when the start is given up. */
function givenUp(stopped: AbortSignal | undefined): Promise<never> {
  const ended = new Promise<never>((_, reject) => {
    const stop = () => reject(new StartError('the server was stopped before it had started'))
    if (stopped?.aborted) stop()
    stopped?.addEventListener('abort', stop)
  })
  ended.catch(() => {}) // it may come when nobody waits for it
  return ended
}

async function patiently<T>(work: () => Promise<T>, log: Log, stop: Promise<never>): Promise<T> {
  const end = Date.now() + FIRST_ANSWER_LIMIT_MS
  let saidAt = Number.NEGATIVE_INFINITY
  for (;;) {
    try {
      return await Promise.race([work(), stop])
    } catch (error) {
      const cause = ((error instanceof DatabaseUnavailable && error.cause) || error) as Error
      const reason = reasonForGood(cause)
      if (cause instanceof StartError) throw cause
      if (cause.cause instanceof StartError) throw cause.cause
      if (reason !== undefined) throw new StartError(`Postgres refuses the connection: ${reason}`, { cause })
      const isPassing = error instanceof DatabaseUnavailable || error instanceof ConnectionLost
      if (!isPassing) throw error
      if (Date.now() > end) {
        const { role, code = '' } = cause as Partial<CannotConnect>
        const remedy = REMEDIES[role ?? code] ?? 'Start it, or correct DATABASE_URL'
        throw new StartError(`Postgres cannot be used: ${cause.message}. ${remedy}`, { cause })
      }
      if (Date.now() >= saidAt + SAID_AGAIN_MS) {
        saidAt = Date.now()
        log.warn({ reason: cause.message, secondsLeft: Math.ceil((end - saidAt) / 1_000) }, 'waiting for Postgres')
      }
      await Promise.race([delay(500), stop])
    }
  }
}

class PooledDatabase implements Database {
  readonly sql: Sql
  readonly urgent: Sql
  isDiskFull = false
  readonly embedded: boolean
  readonly isPooledByTransaction: boolean
  readonly deadlineMs: number
  readonly #pool: Pool
  readonly #server: EmbeddedPostgres | undefined
  readonly #log: Log
  /** When Postgres last failed us, while we have not seen it recover. */
  #failedAt: number | undefined
  /** When the last query got no answer; undefined once another was answered. */
  #unansweredAt: number | undefined
  #unanswered = 0
  #nextDrop: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(pool: Pool, pooler: Pooler, server: EmbeddedPostgres | undefined, deadlineMs: number, log: Log) {
    this.sql = pool.sql
    this.urgent = pool.urgent
    this.isPooledByTransaction = pooler === 'transaction'
    this.embedded = server !== undefined
    this.#pool = pool
    this.#server = server
    this.deadlineMs = deadlineMs
    this.#log = log
  }

  within<T>(query: PromiseLike<T>, ms: number = this.deadlineMs): Promise<T> {
    return this.#answerOf(query, ms, ms >= this.deadlineMs)
  }

  /** `isOverdue`: past `ms` the database has missed its deadline; else only who asks has less patience. */
  #answerOf<T>(query: PromiseLike<T>, ms: number, isOverdue: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = () => {
        const error = new DatabaseUnavailable(`Postgres did not answer within ${ms} ms`)
        if (isOverdue) this.#dropSilent()
        reject(isOverdue ? this.#unavailable(error) : error)
      }
      const timer = setTimeout(late, ms)
      query.then(
        (result) => {
          clearTimeout(timer)
          this.#available()
          resolve(result)
        },
        (error: unknown) => {
          clearTimeout(timer)
          reject(isUnavailability(error) ? this.#unavailable(unavailability(error)) : withoutValues(error))
        }
      )
    })
  }

  ask<T>(query: () => PromiseLike<T>): Promise<T> {
    if (this.#unansweredAt === undefined || performance.now() - this.#unansweredAt > PAUSE_MS) {
      const began = performance.now()
      return this.within(query()).catch((error: unknown) => {
        if (!(error instanceof DatabaseUnavailable && isLoss(error.cause))) throw error
        return this.#answerOf(query(), this.deadlineMs - (performance.now() - began), true)
      })
    }
    return Promise.reject(new DatabaseUnavailable('Postgres did not answer a moment ago'))
  }

  async reserve(listener?: ReservedListener): Promise<ReservedSql> {
    const reserving = this.#pool.reserve(listener)
    try {
      return await this.within(reserving)
    } catch (error) {
      reserving.then(
        (late) => late.release(),
        () => {}
      )
      throw error
    }
  }

  server() {
    return this.#pool.server()
  }

  role(): Role | undefined {
    const fault = this.#pool.fault()
    if (fault === undefined) return this.#pool.server() && 'primary'
    return fault instanceof CannotConnect ? fault.role : undefined
  }

  stats() {
    return { connections: this.#pool.connections(), unanswered: this.#unanswered }
  }

  close(): Promise<void> {
    this.#closing ??= this.#pool.end(CLOSE_LIMIT_MS).finally(() => this.#server?.stop())
    return this.#closing
  }

  /** Drops silent connections now, and once more when the connection of the query just given up is overdue. */
  #dropSilent(): void {
    const ms = SILENT_DEADLINES * this.deadlineMs
    this.#pool.dropSilent(ms)
    this.#nextDrop ??= setTimeout(() => {
      this.#nextDrop = undefined
      this.#pool.dropSilent(ms)
    }, ms).unref()
  }

  #unavailable(error: DatabaseUnavailable): DatabaseUnavailable {
    if (this.#failedAt === undefined && !this.#closing)
      this.#log.warn({ reason: error.message }, 'Postgres is not available')
    this.#failedAt = performance.now()
    if (sqlState(error.cause) === DISK_FULL) this.isDiskFull = true
    if (!isLoss(error.cause)) this.#unansweredAt = this.#failedAt
    this.#unanswered += 1
    return error
  }

  #available(): void {
    this.#unansweredAt = undefined
    if (this.#failedAt === undefined || performance.now() - this.#failedAt < CALM_MS) return
    this.#failedAt = undefined
    this.#log.info({}, 'Postgres is available again')
  }
}

/** Error codes of sockets and of the driver: errors without an answer from Postgres. */
const NO_CONNECTION = /^(E(?!RR_)[A-Z_]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+)$/
/**
 * SQLSTATE (PostgreSQL, appendix A): connection lost, out of resources (disk full among them), stopped or starting,
 * system error, statement, lock and idle timeouts, a server that only reads (a standby now: the pool walks the hosts).
 */
const NO_SERVICE = /^(08|53|57P|58|57014|55P03|25P0[34]|25006)/

function isUnavailability(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code } = error as { code?: unknown }
  if (error instanceof postgres.PostgresError) return NO_SERVICE.test(error.code)
  return error instanceof ConnectionLost || (typeof code === 'string' && NO_CONNECTION.test(code))
}

/** One connection was lost, and with it one answer: the others are as good as before. */
const isLoss = (cause: unknown): boolean =>
  (cause instanceof ConnectionLost && !(cause instanceof CannotConnect)) ||
  /^(08|57P01|25006)/.test(sqlState(cause) ?? '')

function unavailability(cause: unknown): DatabaseUnavailable {
  return new DatabaseUnavailable(`Postgres is not available: ${(cause as Error).message}`, {
    cause: withoutValues(cause)
  })
}

/** The detail of a violated constraint quotes the row, and with it what is sealed. */
function withoutValues(error: unknown): unknown {
  if (error instanceof postgres.PostgresError) {
    for (const field of ['detail', 'where', 'internal_query'] as const) Reflect.deleteProperty(error, field)
  }
  return error
}
