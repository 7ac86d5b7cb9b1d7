import type { EventEmitter } from 'node:events'
import postgres from 'postgres'
import type { Log } from '../util/log.ts'
import { ARRAY_TYPE_OF, COLUMN_TYPES } from './columns.ts'

/*
 * What we use of the insides of `postgres` 3.4.9, which package.json pins to that version. Check each before another one:
 *
 * - `options.shared.typeArrayMap`: element type → array type, which `fetch_types` would fill (createDriver).
 * - the option `socket`: a function that resolves to a connected socket. The driver uses of it what `DriverSocket` names,
 *   and writes its startup message first, alone.
 * - a query is a promise with the fields that `PooledQuery` names. It hands itself to `handler` when it is first awaited (a
 *   fragment never is), and has its `parameters` made anew when they are undefined (attempt).
 */

type Types = { bigint: number }
/** Runs queries on any connection of the pool; `begin` opens a transaction. No `listen`: its connection is not renewed. */
export type Sql = postgres.Sql<Types>
/** Runs queries inside one transaction. */
export type TransactionSql = postgres.TransactionSql<Types>
/** Either of them: for statements that may stand alone. */
export type AnySql = postgres.ISql<Types>
export type ReservedSql = postgres.ReservedSql<Types>
/** Hears a notification of Postgres, on a connection that has said `listen`. */
export type OnNotify = (channel: string, payload: string) => void

/** The part of a `net.Socket` that the driver uses. It listens to `data`, `error` and `close`. */
export interface DriverSocket extends EventEmitter {
  readonly readyState: string
  write(chunk: Buffer, done?: () => void): boolean
  end(chunk?: Buffer): void
  destroy(): void
}

/** A query that was asked for. It runs when its `handler` is given it. */
export interface Query extends PromiseLike<unknown> {
  readonly handler: Handler
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
  parameters: unknown
}

/** What gives a query to the driver: on its only connection, or in a transaction. */
export type Handler = (query: Query) => void

/**
 * A query of ours in the place of the driver's, whose constructor assigns two functions to fields. V8 allocates a function that
 * is assigned to a field in the old generation, and whatever it refers to, here all of the query, goes there too and stays
 * until a major collection: 2 kB for each query, and minor collections that take several times as long.
 */
class PooledQuery implements Query {
  readonly tagged: boolean
  readonly strings: readonly string[]
  readonly args: readonly unknown[]
  readonly options: object
  readonly handler: Handler
  readonly origin = ''
  resolve!: (result: unknown) => void
  reject!: (error: unknown) => void
  parameters: unknown = undefined
  state = null
  statement = null
  active = false
  cancelled = null
  executed = false
  signature = ''
  readonly #answer: Promise<unknown>

  constructor(handler: Handler, strings: readonly string[], args: readonly unknown[], options: object) {
    this.handler = handler
    this.tagged = 'raw' in strings
    this.strings = strings
    this.args = args
    this.options = options
    this.#answer = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  // biome-ignore lint/suspicious/noThenProperty: a query is a promise
  then<A = unknown, B = never>(
    done?: ((result: unknown) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    const { handle } = this as unknown as { handle(): void }
    handle.call(this)
    return this.#answer.then(done, failed)
  }
}

type Unsafe = { readonly prepare?: boolean; readonly simple?: boolean }

/**
 * Makes queries that `handler` decides when the driver gets; helpers such as `sql(rows)` are the driver's. `sql`: that of the
 * driver, or of a transaction.
 */
export function withOwnQueries<S extends AnySql>(sql: S, handler = handlerOf(sql)): S {
  const own = (strings: readonly string[] | object, ...args: unknown[]) =>
    Array.isArray(strings) && 'raw' in strings
      ? new PooledQuery(handler, strings, args, {})
      : (sql as unknown as (...args: unknown[]) => unknown)(strings, ...args)
  const unsafe = (text: string, args: readonly unknown[] = [], { prepare = false, simple }: Unsafe = {}) =>
    new PooledQuery(handler, [text], args, { prepare, simple: simple ?? args.length === 0 })
  return Object.assign(own, sql, { unsafe }) as unknown as S
}

/** To which the driver's own queries hand themselves. */
function handlerOf(sql: AnySql): Handler {
  return (sql`` as unknown as Query).handler // never awaited, so it never runs
}

export interface DriverOptions {
  /** Makes the socket of the driver's only connection, which is set up already. */
  readonly socket: () => DriverSocket
  /** Keep statements prepared: not behind a pooler that changes the server process between them. */
  readonly prepare: boolean
  readonly onNotify?: OnNotify | undefined
  readonly log: Log
}

export interface Driver {
  readonly sql: Sql
  /** Carries out a query that was redirected, once more if it failed before. Its own promise hears nothing of it. */
  attempt(query: Query): Promise<unknown>
}

/** A driver instance with one connection. */
export function createDriver({ socket, prepare, onNotify, log }: DriverOptions): Driver {
  const sql = withoutVariables(() =>
    postgres({
      ...{ host: 'localhost', user: 'nobody', database: 'nothing', pass: '', ssl: false }, // the socket knows better
      ...{ max: 1, socket, prepare, backoff: 0, types: COLUMN_TYPES, fetch_types: false },
      ...{ connect_timeout: 0, max_lifetime: null, idle_timeout: null },
      // Never reached: a `begin` that is sent exactly at this limit would share its connection (issue 1189).
      max_pipeline: 1_000_000,
      onnotify: onNotify,
      onnotice: (notice: postgres.Notice) => log.debug({ notice: notice.message }, 'notice from Postgres')
    } as object)
  ) as unknown as Sql
  Object.assign((sql.options as unknown as { shared: { typeArrayMap: object } }).shared.typeArrayMap, ARRAY_TYPE_OF)
  // The driver asks what is a query, and has methods for it, such as `raw()`.
  Object.setPrototypeOf(PooledQuery.prototype, Object.getPrototypeOf(sql``))
  const handler = handlerOf(sql)
  const attempt = (query: Query) =>
    new Promise((resolve, reject) => {
      Object.assign(query, { resolve, reject, parameters: undefined })
      handler(query)
    })
  return { sql, attempt }
}

/** The driver reads PG* variables for whatever is not given, and stops at some values that psql takes. */
function withoutVariables<T>(make: () => T): T {
  const hidden = Object.entries(process.env).filter(([name]) => name.startsWith('PG'))
  for (const [name] of hidden) delete process.env[name]
  try {
    return make()
  } finally {
    for (const [name, value] of hidden) process.env[name] = value
  }
}
