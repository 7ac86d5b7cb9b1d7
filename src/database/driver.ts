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
 * - a query is a promise with the fields `handler`, to which it hands itself when it is first awaited (a fragment never
 *   is), `resolve`, `reject`, and `parameters`, which it makes anew when they are undefined (redirect, attempt).
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
  handler: (query: Query) => void
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
  parameters: unknown
}

/** Has `handler` decide when the driver gets this, if it is a query; a helper such as `sql(rows)` is left as it is. */
export function redirect<T>(made: T, handler: (query: Query) => void): T {
  if (made instanceof Promise && 'handler' in made) (made as unknown as Query).handler = handler
  return made
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
  const { handler } = sql`` as unknown as Query // never awaited, so it never runs
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
