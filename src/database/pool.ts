import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../util/log.ts'
import { CannotConnect, openConnection, type Pooler } from './connect.ts'
import { type Target, targetOf } from './connection-string.ts'
import {
  createDriver,
  type Driver,
  type OnNotify,
  type Query,
  type ReservedSql,
  type Sql,
  type TransactionSql,
  withOwnQueries
} from './driver.ts'
import { ConnectionLost, PostgresSocket } from './postgres-socket.ts'
import type { ServerFacts } from './session-settings.ts'
import { sqlState } from './sql-state.ts'

export type { AnySql, OnNotify, ReservedSql, Sql, TransactionSql } from './driver.ts'

/** After an attempt to connect that failed, the next one waits this long. */
const RETRY_MS = 250
/** So long after a connection could not be added to those that there are, it is tried again. */
const GROW_AGAIN_MS = 10_000
const CLOSED = 'the connections to Postgres are closed'
/** serialization_failure, deadlock_detected: as if nothing had been asked; likely to succeed when asked again. */
const REPEATED = /^(40001|40P01)$/
const REPEATS = 4
/** read_only_sql_transaction: the server is a standby now, or was set to read only. */
const READ_ONLY = '25006'

export interface PoolOptions {
  /** Connection string, or what reads it: at each connect, as passwords change. */
  readonly url: string | (() => string)
  readonly size: number
  readonly pooler?: Pooler
  /** Server-side limits of every statement, so that Postgres drops what we no longer wait for. */
  readonly statementMs: number
  readonly log: Log
}

/** Hears what happens to a reserved connection. */
export interface ReservedListener {
  readonly onNotify?: OnNotify | undefined
  /** It is lost: whatever it held, locks and `listen`, is gone. */
  readonly onLost?: (() => void) | undefined
}

function sqlOf(pool: Pool, isUrgent: boolean): Sql {
  const sql = withOwnQueries(pool.maker, (query) => pool.query(query, isUrgent))
  return Object.assign(sql, {
    reserve: () => pool.reserve(),
    begin: (work: Transaction) => pool.begin(work, isUrgent)
  }) as unknown as Sql
}

type Transaction = (tx: TransactionSql) => unknown

/** A query or transaction that was asked for. */
interface Task {
  readonly isUrgent: boolean
  readonly since: number
  readonly attempt: (driver: Driver) => Promise<unknown>
  readonly resolve: (result: never) => void
  readonly reject: (error: unknown) => void
}

/**
 * A connection and its driver.
 *
 *     idle ──a task──► busy ──the task is done──► idle
 *       └── lost, or retired (when it is not busy any more) ──► gone
 */
interface Connection {
  readonly socket: PostgresSocket
  readonly driver: Driver
  /** Ends the task under way when the connection is lost: the driver leaves a transaction unsettled whose rollback cannot be sent. */
  lose: (cause: Error) => void
  isRetired: boolean
}

/**
 * A connection pool that survives Postgres. Each connection has a driver instance of its own; both are replaced when
 * the connection is lost (PostgresSocket says why), and the others never notice. `sql` stays the same.
 *
 * A query or transaction is handed to a connection only when that is free: the driver would send it on a busy one, behind
 * whatever runs there. One that met a deadlock or a serialization failure is carried out again, so what a transaction's
 * function does besides SQL must bear being done twice.
 */
export class Pool {
  readonly sql: Sql
  /** The same, before all that waits for a connection: for questions about the state of the server. */
  readonly urgent: Sql
  /** A driver without a connection: what queries are like, and helpers. It runs none. */
  readonly maker: Sql
  #server: ServerFacts | undefined
  #fault: Error | undefined
  readonly #options: PoolOptions
  readonly #target: () => Target
  readonly #all = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #reserved = new Set<Connection>()
  readonly #waiting: Task[] = []
  readonly #stop = new AbortController()
  #opening = 0
  #limit: number
  #growsAgainAt = 0
  #nextAttemptAt = 0
  #isSmaller = false
  #ending: Promise<void> | undefined

  constructor(options: PoolOptions) {
    this.#options = options
    setMaxListeners(0, this.#stop.signal) // one for each connection that is being opened
    this.#target = targetOf(options.url)
    this.#limit = options.size
    this.maker = this.#driver(() => {
      throw new Error('this driver runs no queries')
    }).sql
    this.sql = sqlOf(this, false)
    this.urgent = sqlOf(this, true)
  }

  /** Open connections. */
  connections(): number {
    return this.#all.size + this.#reserved.size
  }

  /** The server of the newest connection. */
  server(): ServerFacts | undefined {
    return this.#server
  }

  /** Why the last attempt to connect failed; undefined: it did not. */
  fault(): Error | undefined {
    return this.#fault
  }

  query(query: Query, isUrgent: boolean): void {
    const { resolve, reject } = query
    this.#run({ isUrgent, since: performance.now(), resolve, reject, attempt: (driver) => driver.attempt(query) })
  }

  begin(work: Transaction, isUrgent: boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const attempt = ({ sql }: Driver) => sql.begin((tx) => work(withOwnQueries(tx)))
      this.#run({ isUrgent, since: performance.now(), resolve, reject, attempt })
    })
  }

  /** A connection of its own, beside the pool, until `release()`: for session locks, and to listen. */
  async reserve(listener: ReservedListener = {}): Promise<ReservedSql> {
    const connection = await this.#open(this.#reserved, listener)
    try {
      await connection.driver.sql`select 1` // a reserve() that has to connect first never resolves
      const reserved = await connection.driver.sql.reserve()
      const { release } = reserved
      reserved.release = () => {
        release()
        this.#close(connection)
      }
      return reserved
    } catch (error) {
      this.#close(connection)
      throw error
    }
  }

  /** Gives up connections that have not answered a write for `ms`: cut off, or on a machine that stands still. */
  dropSilent(ms: number): void {
    for (const { socket } of [...this.#all, ...this.#reserved]) if (socket.silentMs() > ms) socket.reset()
  }

  /** Lets queries in progress finish for at most `ms`. */
  end(ms: number): Promise<void> {
    this.#ending ??= this.#end(ms)
    return this.#ending
  }

  #run(task: Task): void {
    const connection = this.#idle.pop()
    if (this.#stop.signal.aborted) task.reject(new ConnectionLost(CLOSED))
    else if (connection !== undefined) void this.#carryOut(task, connection)
    else {
      if (task.isUrgent) this.#waiting.unshift(task)
      else this.#waiting.push(task)
      this.#grow()
    }
  }

  async #carryOut(task: Task, connection: Connection): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const result = await new Promise((resolve, reject) => {
          connection.lose = reject // no promise of the connection: it would keep every result as long as it lives
          task.attempt(connection.driver).then(resolve, reject)
        })
        task.resolve(result as never)
        break
      } catch (error) {
        const state = sqlState(error) ?? ''
        if (state === READ_ONLY) this.#retireAll()
        if (!REPEATED.test(state) || tries > REPEATS || !this.#all.has(connection)) {
          task.reject(error)
          break
        }
        await delay(Math.random() * 10 * 2 ** tries)
      }
    }
    this.#free(connection)
  }

  /** `isNew`: the first task waited for the connection itself, however long that took. */
  #free(connection: Connection, isNew = false): void {
    if (connection.isRetired) this.#close(connection)
    if (!this.#all.has(connection)) {
      this.#grow() // others may be waiting for what it cannot do any more
      return
    }
    const task = isNew ? this.#waiting.shift() : this.#nextTask()
    if (task === undefined) this.#idle.push(connection)
    else void this.#carryOut(task, connection)
  }

  #nextTask(): Task | undefined {
    for (let task = this.#waiting.shift(); task !== undefined; task = this.#waiting.shift()) {
      if (performance.now() - task.since <= (this.#options.statementMs || Number.POSITIVE_INFINITY)) return task
      task.reject(new ConnectionLost('no connection to Postgres came free in time')) // its caller has given up
    }
    return undefined
  }

  /** Opens as many connections as tasks wait for one. */
  #grow(): void {
    if (this.#limit < this.#options.size && performance.now() > this.#growsAgainAt) this.#limit = this.#options.size
    while (this.#opening < this.#waiting.length && this.#all.size + this.#opening < this.#limit) void this.#add()
  }

  async #add(): Promise<void> {
    this.#opening += 1
    const pauseMs = this.#nextAttemptAt - performance.now()
    const opening = (pauseMs > 0 ? delay(pauseMs) : Promise.resolve()).then(() => this.#open(this.#all))
    const connection = await opening.catch((error: Error) => error)
    this.#opening -= 1
    if (connection instanceof Error) this.#notAdded(connection)
    else {
      if (this.#all.size === this.#options.size) this.#isSmaller = false
      this.#free(connection, true)
    }
  }

  /** Whoever waits is told when nothing else is left to wait for; with other connections, the pool is smaller for a while. */
  #notAdded(error: Error): void {
    this.#nextAttemptAt = performance.now() + RETRY_MS
    if (this.#all.size > 0) {
      this.#limit = this.#all.size
      this.#growsAgainAt = performance.now() + GROW_AGAIN_MS
      const facts = { connections: this.#limit, wanted: this.#options.size, reason: error.message }
      if (!this.#isSmaller) this.#options.log.warn(facts, 'Postgres gives fewer connections than DATABASE_POOL_SIZE')
      this.#isSmaller = true
    } else if (this.#opening === 0) {
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
  }

  async #open(among: Set<Connection>, listener: ReservedListener = {}): Promise<Connection> {
    const { statementMs, pooler = 'none' } = this.#options
    if (this.#stop.signal.aborted) throw new ConnectionLost(CLOSED)
    try {
      const opened = await openConnection({ target: this.#target(), pooler, statementMs }, this.#stop.signal)
      this.#server = opened.server
      this.#fault = undefined
      if (this.#stop.signal.aborted) {
        opened.socket.destroy()
        throw new ConnectionLost(CLOSED)
      }
      return this.#keep(opened.socket, among, listener)
    } catch (error) {
      this.#fault = error as Error
      throw error instanceof ConnectionLost ? error : new CannotConnect([{ place: '', error: error as Error }])
    }
  }

  #keep(opened: Socket, among: Set<Connection>, { onNotify, onLost }: ReservedListener): Connection {
    const gone = () => {
      among.delete(connection)
      const at = this.#idle.indexOf(connection)
      if (at !== -1) this.#idle.splice(at, 1)
    }
    const socket = new PostgresSocket(opened, {
      // The driver ends a connection by itself when Postgres says that it is over.
      ended: () => {
        gone()
        connection.lose(new ConnectionLost('Postgres closed the connection'))
        if (!connection.isRetired) onLost?.()
      },
      lost: (cause) => {
        gone()
        connection.lose(cause)
        if (connection.isRetired) return // we closed it ourselves
        this.#options.log.debug({ err: cause }, 'connection to Postgres lost')
        onLost?.()
      }
    })
    const driver = this.#driver(() => socket, onNotify)
    const connection: Connection = { socket, driver, lose: () => {}, isRetired: false }
    among.add(connection)
    return connection
  }

  #driver(socket: () => PostgresSocket, onNotify?: OnNotify): Driver {
    const { log, pooler } = this.#options
    return createDriver({ socket, prepare: pooler !== 'transaction', onNotify, log })
  }

  /** The next task walks the hosts again. */
  #retireAll(): void {
    for (const connection of this.#all) connection.isRetired = true
    for (const connection of this.#idle.splice(0)) this.#close(connection)
  }

  #close(connection: Connection): void {
    connection.isRetired = true
    this.#all.delete(connection)
    this.#reserved.delete(connection)
    void connection.driver.sql.end({ timeout: 0 }).finally(() => connection.socket.destroy())
  }

  async #end(ms: number): Promise<void> {
    const deadline = performance.now() + ms
    const isAtRest = () => this.#waiting.length === 0 && this.#idle.length === this.#all.size
    // Twice at rest: between two queries of a caller, a connection is at rest for a moment.
    for (let rests = 0; rests < 2 && performance.now() < deadline; await delay(10)) rests = isAtRest() ? rests + 1 : 0
    this.#stop.abort()
    for (const { reject } of this.#waiting.splice(0)) reject(new ConnectionLost(CLOSED))
    for (const connection of [...this.#all, ...this.#reserved]) this.#close(connection)
  }
}
