import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../util/log.ts'
import {
  createDriver,
  type Driver,
  type Endpoint,
  type OnNotify,
  type Query,
  type ReservedSql,
  readEndpoint,
  redirect,
  type Sql
} from './driver.ts'
import { openSocket } from './open-socket.ts'
import { ConnectionLost, DeadSocket, PostgresSocket } from './postgres-socket.ts'

export type { AnySql, OnNotify, ReservedSql, Sql, TransactionSql } from './driver.ts'

/** After a lost or refused connection, the next attempt waits this long. */
const RETRY_MS = 250
const CLOSED = 'the connections to Postgres are closed'

export interface PoolOptions {
  url: string
  size: number
  /** Server-side limits of every statement, so that Postgres drops what we no longer wait for. */
  statementMs: number
  log: Log
}

/** Hears what happens to a reserved connection. */
export interface ReservedListener {
  readonly onNotify?: OnNotify | undefined
  /** It is lost: whatever it held, locks and `listen`, is gone. */
  readonly onLost?: (() => void) | undefined
}

export interface Pool {
  readonly sql: Sql
  /** A connection of its own, beside the pool, until `release()`: for session locks, and to listen. */
  reserve(listener?: ReservedListener): Promise<ReservedSql>
  /** Open connections. */
  connections(): number
  /** Gives up connections that have not answered a write for `ms`: cut off, or on a machine that stands still. */
  dropSilent(ms: number): void
  /** Lets queries in progress finish for at most `ms`. */
  end(ms: number): Promise<void>
}

/**
 * A connection pool that survives Postgres. It is a driver instance that is replaced as a whole once it has lost a
 * connection (PostgresSocket says why): the old one finishes what still runs on its other connections, the new one takes
 * what waits and what comes next. `sql` stays the same.
 *
 * A query or transaction is handed to the driver only when one of its connections is free. The driver itself would
 * send it on a busy connection, behind whatever runs there, and it would wait for that while others become free.
 */
export function createPool(options: PoolOptions): Pool {
  const pool = new RenewingPool(options)
  const target = () => {}
  const gated: Partial<Record<PropertyKey, unknown>> = {
    reserve: () => pool.reserve(),
    begin: (...args: unknown[]) => pool.begin(args),
    unsafe: (...args: Parameters<Sql['unsafe']>) => redirect(pool.current.sql.unsafe(...args), pool.query)
  }
  const sql = new Proxy(target as unknown as Sql, {
    apply: (_target, _self, args: Parameters<Sql>) => redirect(pool.current.sql(...args), pool.query),
    get: (_target, key) => gated[key] ?? Reflect.get(pool.current.sql, key)
  })
  return {
    sql,
    reserve: (listener) => pool.reserve(listener),
    connections: () => pool.connections,
    dropSilent: (ms) => pool.dropSilent(ms),
    end: (ms) => pool.end(ms)
  }
}

/** A query or transaction that was asked for. */
interface Task {
  readonly since: number
  /** Hands it to the driver; settles when its connection is free again. */
  start(driver: Driver): PromiseLike<unknown>
  giveUp(error: Error): void
}

class RenewingPool {
  current: PoolGeneration
  readonly #options: PoolOptions
  readonly #endpoint: Endpoint
  readonly #generations = new Set<PoolGeneration>()
  #attempts = 0
  #lastLossAt = Number.NEGATIVE_INFINITY
  #ended = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#endpoint = readEndpoint(options.url)
    this.current = this.#renew(options.size)
  }

  readonly query = (query: Query): void => {
    const start = ({ execute }: Driver) => {
      execute(query)
      return query
    }
    this.current.run({ since: performance.now(), start, giveUp: (error) => query.reject(error) })
  }

  begin(args: unknown[]): Promise<unknown> {
    return new Promise((resolve, giveUp) => {
      const start = ({ sql }: Driver) => {
        const work = (sql.begin as (...args: unknown[]) => Promise<unknown>)(...args)
        work.then(resolve, giveUp)
        return work
      }
      this.current.run({ since: performance.now(), start, giveUp })
    })
  }

  async reserve({ onNotify, onLost }: ReservedListener = {}): Promise<ReservedSql> {
    const generation = this.#renew(1, { onNotify, onLost })
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

  #renew(size: number, { onNotify, onLost }: ReservedListener = {}): PoolGeneration {
    const generation: PoolGeneration = new PoolGeneration({
      ...this.#options,
      ...{ size, onNotify },
      endpoint: this.#endpoint,
      open: () => this.#open(),
      onLost: (cause) => {
        this.#lost(generation, cause)
        onLost?.()
      },
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

  #lost(generation: PoolGeneration, cause: Error): void {
    this.#lastLossAt = performance.now()
    const waiting = generation.retire(this.#options.statementMs)
    if (generation === this.current && !this.#ended) {
      this.#options.log.debug({ err: cause }, 'connection to Postgres lost')
      this.current = this.#renew(this.#options.size)
    }
    for (const task of waiting) this.current.run(task)
  }
}

interface GenerationOptions extends PoolOptions {
  endpoint: Endpoint
  onNotify: OnNotify | undefined
  open: () => ReturnType<typeof openSocket>
  onLost: (cause: Error) => void
  onEnded: () => void
}

/**
 * One driver instance, with its own connections.
 *
 *     open ──retire(): it lost a connection──► retired ──nothing runs, or the time is over──► ended
 *       └────────────────end(): the pool is closed───────────────────────────────────────────►┘
 *
 * open: makes connections as they are needed. retired: makes none, finishes what runs. ended: none is left.
 */
class PoolGeneration {
  readonly #driver: Driver
  readonly #options: GenerationOptions
  readonly #sockets = new Set<PostgresSocket>()
  #running = 0
  #waiting: Task[] = []
  #opening = 0
  #retired = false
  #ending: Promise<void> | undefined
  #closed = false

  constructor(options: GenerationOptions) {
    this.#options = options
    this.#driver = createDriver({ ...options, socket: () => this.#openSocket() })
  }

  get sql(): Sql {
    return this.#driver.sql
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** Hands a task to the driver once a connection is free for it; in the order they come. */
  run(task: Task): void {
    if (this.#closed) task.giveUp(new ConnectionLost(CLOSED))
    else if (this.#running < this.#options.size) this.#start(task)
    else this.#waiting.push(task)
  }

  /** No new connections; what runs may finish for `ms`, or until the last connection is gone. Returns what waits. */
  retire(ms: number): Task[] {
    const waiting = this.#waiting.splice(0)
    if (!this.#retired) {
      this.#retired = true
      setTimeout(() => this.end(1_000), ms).unref()
    }
    if (this.#opening === 0 && this.#sockets.size === 0) void this.end(0)
    return waiting
  }

  dropSilent(ms: number): void {
    for (const socket of [...this.#sockets]) if (socket.silentMs() > ms) socket.destroy()
  }

  /** Lets what runs and waits finish for at most `ms`. */
  end(ms: number): Promise<void> {
    this.#retired = true
    this.#ending ??= this.#finish(ms).finally(this.#options.onEnded)
    return this.#ending
  }

  #start(task: Task): void {
    if (performance.now() - task.since > this.#options.statementMs) {
      task.giveUp(new ConnectionLost('no connection to Postgres came free in time')) // its caller has given up
      return
    }
    this.#running += 1
    const done = () => {
      this.#running -= 1
      while (this.#running < this.#options.size && this.#waiting.length > 0) this.#start(this.#waiting.shift()!)
    }
    task.start(this.#driver).then(done, done)
  }

  async #finish(ms: number): Promise<void> {
    const deadline = performance.now() + ms
    // Twice at rest: between two queries of a queue, a connection is at rest for a moment.
    for (let rests = 0; rests < 2 && performance.now() < deadline; await delay(10)) {
      rests = [...this.#sockets].every((socket) => socket.atRest()) ? rests + 1 : 0
    }
    this.#closed = true
    for (const { giveUp } of this.#waiting.splice(0)) giveUp(new ConnectionLost(CLOSED))
    await this.sql.end({ timeout: 0 })
    for (let waits = 0; waits < 20 && this.#sockets.size > 0; waits++) await delay(10)
    for (const socket of [...this.#sockets]) socket.destroy()
  }

  async #openSocket(): Promise<PostgresSocket | DeadSocket> {
    if (this.#retired) return new DeadSocket(new ConnectionLost('the connection to Postgres was lost'))
    this.#opening++
    try {
      return this.#keep(await this.#options.open())
    } catch (error) {
      queueMicrotask(() => this.#options.onLost(error as Error))
      return new DeadSocket(error as Error)
    } finally {
      this.#opening--
    }
  }

  #keep(socket: Socket): PostgresSocket {
    const kept: PostgresSocket = new PostgresSocket(socket, {
      lost: (cause) => {
        this.#sockets.delete(kept)
        this.#options.onLost(cause)
      },
      ended: () => this.#sockets.delete(kept)
    })
    this.#sockets.add(kept)
    return kept
  }
}
