import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import type { Log } from '../util/log.ts'
import { ARRAY_TYPE_OF, COLUMN_TYPES } from './column-types.ts'
import { type Endpoint, openSocket, readEndpoint } from './endpoint.ts'
import { ConnectionLost, DeadWire, Wire } from './postgres-socket.ts'

type Types = { bigint: number }
/** Runs queries on any connection of the pool; `begin` opens a transaction. No `listen`: its connection is not renewed. */
export type Sql = postgres.Sql<Types>
/** Runs queries inside one transaction. */
export type TransactionSql = postgres.TransactionSql<Types>
/** Either of them: for statements that may stand alone. */
export type AnySql = postgres.ISql<Types>

/** After a lost or refused connection, the next attempt waits this long. */
const RETRY_MS = 250

export interface PoolOptions {
  url: string
  size: number
  /** Server-side limits of every statement, so that Postgres drops what we no longer wait for. */
  statementMs: number
  log: Log
}

export interface Pool {
  readonly sql: Sql
  /** Open connections. */
  connections(): number
  /** Gives up connections that have not answered a write for `ms`: cut off, or on a machine that stands still. */
  dropSilent(ms: number): void
  /** Lets queries in progress finish for at most `ms`. */
  end(ms: number): Promise<void>
}

/**
 * A connection pool that survives Postgres. It is a driver instance that is replaced as a whole once it has lost a
 * connection (Wire says why): the old one finishes what still runs on its other connections, the new one takes
 * whatever comes next. `sql` stays the same.
 */
export function createPool(options: PoolOptions): Pool {
  const pool = new RenewingPool(options)
  const target = () => {}
  const sql = new Proxy(target as unknown as Sql, {
    apply: (_target, _self, args: Parameters<Sql>) => pool.current.sql(...args),
    get: (_target, key) => (key === 'reserve' ? pool.reserve : Reflect.get(pool.current.sql, key))
  })
  return {
    sql,
    connections: () => pool.connections,
    dropSilent: (ms) => pool.dropSilent(ms),
    end: (ms) => pool.end(ms)
  }
}

class RenewingPool {
  current: Generation
  readonly #options: PoolOptions
  readonly #endpoint: Endpoint
  readonly #generations = new Set<Generation>()
  #attempts = 0
  #lastLossAt = Number.NEGATIVE_INFINITY
  #ended = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#endpoint = readEndpoint(options.url)
    this.current = this.#renew(options.size)
  }

  /** A connection of its own, beside the pool, until `release()`: for session locks. */
  readonly reserve = async (): Promise<postgres.ReservedSql<Types>> => {
    const generation = this.#renew(1)
    try {
      await generation.sql`select 1` // a reserve() that has to connect first never resolves (without fetch_types)
      const reserved = await generation.sql.reserve()
      const release = reserved.release
      reserved.release = () => {
        release()
        generation.retire(0)
      }
      return reserved
    } catch (error) {
      generation.retire(0)
      throw error
    }
  }

  get connections(): number {
    return [...this.#generations].reduce((sum, generation) => sum + generation.connections, 0)
  }

  dropSilent(ms: number): void {
    for (const generation of this.#generations) generation.dropSilent(ms)
  }

  async end(ms: number): Promise<void> {
    this.#ended = true
    await Promise.all([...this.#generations].map((generation) => generation.end(ms)))
  }

  #renew(size: number): Generation {
    const generation: Generation = new Generation({
      ...this.#options,
      size,
      endpoint: this.#endpoint,
      open: () => this.#open(),
      onLost: (cause) => this.#lost(generation, cause),
      onEnded: () => this.#generations.delete(generation)
    })
    this.#generations.add(generation)
    return generation
  }

  async #open() {
    const waitMs = this.#lastLossAt + RETRY_MS - performance.now()
    if (waitMs > 0) await delay(waitMs)
    return openSocket(this.#endpoint, this.#attempts++)
  }

  #lost(generation: Generation, cause: Error): void {
    this.#lastLossAt = performance.now()
    generation.retire(this.#options.statementMs)
    if (generation !== this.current || this.#ended) return
    this.#options.log.debug({ err: cause }, 'connection to Postgres lost')
    this.current = this.#renew(this.#options.size)
  }
}

interface GenerationOptions extends PoolOptions {
  endpoint: Endpoint
  open: () => ReturnType<typeof openSocket>
  onLost: (cause: Error) => void
  onEnded: () => void
}

/** One driver instance: takes new connections until it loses one. */
class Generation {
  readonly sql: Sql
  readonly #options: GenerationOptions
  readonly #wires = new Set<Wire>()
  #opening = 0
  #retired = false
  #ending: Promise<void> | undefined

  constructor(options: GenerationOptions) {
    this.#options = options
    this.sql = createDriver(options, () => this.#openWire())
  }

  get connections(): number {
    return this.#wires.size
  }

  /** No new connections; what runs may finish for `ms`, or until the last connection is gone. */
  retire(ms: number): void {
    if (!this.#retired) {
      this.#retired = true
      setTimeout(() => this.end(1_000), ms).unref()
    }
    if (this.#opening === 0 && this.#wires.size === 0) void this.end(0)
  }

  dropSilent(ms: number): void {
    for (const wire of [...this.#wires]) if (wire.silentMs() > ms) wire.destroy()
  }

  /** Lets what runs finish for at most `ms`. */
  end(ms: number): Promise<void> {
    this.#retired = true
    this.#ending ??= this.#finish(ms).finally(this.#options.onEnded)
    return this.#ending
  }

  async #finish(ms: number): Promise<void> {
    const deadline = performance.now() + ms
    // Twice at rest: between two queries of a queue, a connection is at rest for a moment.
    for (let rests = 0; rests < 2 && performance.now() < deadline; await delay(10)) {
      rests = [...this.#wires].every((wire) => wire.atRest()) ? rests + 1 : 0
    }
    await this.sql.end({ timeout: 0 })
    for (let waits = 0; waits < 20 && this.#wires.size > 0; waits++) await delay(10)
    for (const wire of [...this.#wires]) wire.destroy()
  }

  async #openWire(): Promise<Wire | DeadWire> {
    if (this.#retired) return new DeadWire(new ConnectionLost('the connection to Postgres was lost'))
    this.#opening++
    try {
      return this.#keep(await this.#options.open())
    } catch (error) {
      queueMicrotask(() => this.#options.onLost(error as Error))
      return new DeadWire(error as Error)
    } finally {
      this.#opening--
    }
  }

  #keep(socket: Socket): Wire {
    const wire: Wire = new Wire(socket, {
      lost: (cause) => {
        this.#wires.delete(wire)
        this.#options.onLost(cause)
      },
      ended: () => this.#wires.delete(wire)
    })
    this.#wires.add(wire)
    return wire
  }
}

function createDriver(options: GenerationOptions, socket: () => Promise<Wire | DeadWire>): Sql {
  const { url, size, statementMs, endpoint, log } = options
  const sql = postgres(url, {
    max: size,
    // Several hosts and TLS are openSocket's affair.
    host: endpoint.host[0],
    port: Number(endpoint.port[0]),
    ssl: false,
    socket,
    backoff: 0,
    types: COLUMN_TYPES,
    fetch_types: false,
    // A connection that hangs while it starts is dropped as silent; timers of lost ones would live on.
    connect_timeout: 0,
    max_lifetime: null,
    // Out of reach: a transaction that begins exactly at this limit would share its connection (issue 1189).
    max_pipeline: 1_000_000,
    onnotice: (notice: postgres.Notice) => log.debug({ notice: notice.message }, 'notice from Postgres'),
    connection: {
      application_name: 'demos-relay',
      synchronous_commit: 'on',
      plan_cache_mode: 'force_generic_plan',
      // A plan made while a mailbox table was empty is kept when it is full: every row for every page (decision 5).
      enable_seqscan: 'off',
      statement_timeout: statementMs,
      lock_timeout: statementMs,
      // A transaction we lost track of must not hold its locks for ever.
      idle_in_transaction_session_timeout: Math.max(60_000, 2 * statementMs)
    }
  } as object) as unknown as Sql
  Object.assign((sql.options as unknown as { shared: { typeArrayMap: object } }).shared.typeArrayMap, ARRAY_TYPE_OF)
  return sql
}
