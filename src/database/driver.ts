import type { EventEmitter } from 'node:events'
import postgres from 'postgres'
import type { Log } from '../util/log.ts'
import { ARRAY_TYPE_OF, COLUMN_TYPES } from './columns.ts'

/*
 * What we use of the insides of `postgres` 3.4.9, which package.json pins to that version. Check each before another one:
 *
 * - `options.host`, `port`, `path`, `ssl` of an instance: the parsed connection string (readEndpoint).
 * - `options.shared.typeArrayMap`: element type → array type, which `fetch_types` would fill (createDriver).
 * - the option `socket`: a function that resolves to a connected socket. The driver uses of it what `DriverSocket` names.
 * - a query is a promise with the fields `handler`, to which it hands itself when it is first awaited (a fragment never
 *   is), and `reject` (redirect, createDriver).
 * - a query goes to an idle connection, else to one not yet open, else behind another query on a busy one. The pool
 *   avoids the last (pool.ts). `max_pipeline` cannot: see createDriver.
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

/** Where Postgres is and how to speak TLS with it. */
export interface Endpoint {
  host: string[]
  port: number[]
  /** Path of a unix socket. */
  path: string | false | undefined
  /** The `sslmode` of the connection string. */
  ssl: unknown
}

/** Reads a connection string as the driver does. The driver's own error would quote the string, with the password. */
export function readEndpoint(url: string): Endpoint {
  try {
    const { host, port, path, ssl } = postgres(url, { max: 1 }).options as unknown as Endpoint
    if (!port.every((each) => Number(each) > 0)) throw new Error('a port is not a number')
    return { host, port, path, ssl }
  } catch {
    throw new Error('the connection string (DATABASE_URL) is not one that PostgreSQL understands')
  }
}

/** A query that was asked for. It runs when its `handler` is given it. */
export interface Query extends PromiseLike<unknown> {
  handler: (query: Query) => void
  reject(error: Error): void
}

/** Has `handler` decide when the driver gets this, if it is a query; a helper such as `sql(rows)` is left as it is. */
export function redirect<T>(made: T, handler: (query: Query) => void): T {
  if (made instanceof Promise && 'handler' in made) (made as unknown as Query).handler = handler
  return made
}

export interface DriverOptions {
  url: string
  endpoint: Endpoint
  /** Most connections. */
  size: number
  /** Server-side limits of every statement, so that Postgres drops what we no longer wait for. */
  statementMs: number
  /** Makes the socket of a new connection. Never rejects. */
  socket: () => Promise<DriverSocket>
  onNotify?: OnNotify | undefined
  log: Log
}

export interface Driver {
  readonly sql: Sql
  /** Runs a query that was redirected. */
  execute(query: Query): void
}

export function createDriver({ url, size, statementMs, endpoint, socket, onNotify, log }: DriverOptions): Driver {
  const sql = postgres(url, {
    max: size,
    // openSocket() chooses among several hosts and speaks TLS.
    host: endpoint.host[0],
    port: Number(endpoint.port[0]),
    ssl: false,
    socket,
    backoff: 0,
    types: COLUMN_TYPES,
    fetch_types: false,
    // A connection that hangs while it starts is dropped as silent; the driver would not clear its timers.
    connect_timeout: 0,
    max_lifetime: null,
    // Never reached: a `begin` that is sent exactly at this limit would share its connection (issue 1189).
    max_pipeline: 1_000_000,
    onnotify: onNotify,
    onnotice: (notice: postgres.Notice) => log.debug({ notice: notice.message }, 'notice from Postgres'),
    connection: {
      application_name: 'demos-relay',
      synchronous_commit: 'on',
      plan_cache_mode: 'force_generic_plan',
      // A plan that was made while a mailbox table was empty is kept when it is full: it reads every row for every page
      // (decision 5).
      enable_seqscan: 'off',
      statement_timeout: statementMs,
      lock_timeout: statementMs,
      // A transaction that we lost track of must not hold its locks for ever.
      idle_in_transaction_session_timeout: Math.max(60_000, 2 * statementMs)
    }
  } as object) as unknown as Sql
  Object.assign((sql.options as unknown as { shared: { typeArrayMap: object } }).shared.typeArrayMap, ARRAY_TYPE_OF)
  const { handler } = sql`` as unknown as Query // never awaited, so it never runs
  return { sql, execute: handler }
}
