import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Database, ReservedSql } from '../database/database.ts'
import { aliveRelays } from '../store/relay.ts'
import type { Log } from '../util/log.ts'
import { StartError } from '../util/start-error.ts'

/** Another relay runs over the database, and the two do not belong to one cluster. */
export class RelayRefused extends StartError {
  override name = 'RelayRefused'
}

export interface RelayLockOptions {
  readonly database: Database
  /** Name of the cluster; undefined: the relay wants to be alone. */
  readonly cluster: string | undefined
  readonly log: Log & { fatal(facts: object, message: string): void }
  /** While the lock was lost, another relay has started over the database: this one has to end. */
  readonly replaced: (error: RelayRefused) => void
}

export interface RelayLock {
  release(): void
}

/** Any number, the same in every version of this server, and not the one of another lock. */
const LOCK = 30_053_012
/** Where the holder of the lock is asked whether it lives. */
const CHANNEL = 'demos_relay_lock'
/** How long its answer is waited for, and how long after that the lock is tried for, in ms. */
const ANSWER_MS = 2_000
const TRY_MS = 10_000
const PAUSE_MS = 100
/** Pause before a lock that was lost is tried for again, in ms. */
const RETRY_MS = 500

/**
 * Keeps two relays that know nothing of each other from one database: a relay that is alone holds an advisory lock, relays
 * of a cluster share it. It is held by a connection of its own, on which no statement runs: it costs nothing.
 *
 *     trying ──the lock is free──► holding ──the connection is lost──► trying
 *       └──its holder answers──► refused
 *
 * A holder that was killed may leave its connection behind, when its machine is gone or a proxy is between. So the holder
 * is asked by a notification; one that does not answer has its connection ended, and the lock is free. Rejects with
 * `RelayRefused`.
 */
export async function holdRelayLock(options: RelayLockOptions): Promise<RelayLock> {
  await refuseOtherClusters(options)
  if (options.database.isPooledByTransaction) return { release: () => {} }
  const lock = new HeldLock(options)
  await lock.take()
  return lock
}

/** Relays behind a pooler cannot hold a lock: their leases speak for them. One that was killed is waited for. */
async function refuseOtherClusters({ database, cluster }: RelayLockOptions): Promise<void> {
  const end = performance.now() + TRY_MS
  for (;;) {
    const others = await database.within(aliveRelays(database.sql))
    const strangers = others.filter((relay) => relay.cluster !== cluster)
    if (strangers.length === 0) return
    if (performance.now() > end) throw refused(cluster, strangers[0]?.cluster)
    await delay(RETRY_MS)
  }
}

function refused(cluster: string | undefined, other: string | undefined): RelayRefused {
  const who = other === undefined ? 'Another relay runs' : `A relay of the cluster ${other} runs`
  return new RelayRefused(
    cluster === undefined
      ? `${who} over this database. Give this one a database of its own, or set CLUSTER_NAME to the same name on both.`
      : `${who} over this database, and CLUSTER_NAME is ${cluster} here. Set the same name on all relays of a database.`
  )
}

class HeldLock implements RelayLock {
  readonly #options: RelayLockOptions
  #connection: ReservedSql | undefined
  /** What another relay said to the question that is open. */
  #heard: ((payload: string) => void) | undefined
  #isReleased = false

  constructor(options: RelayLockOptions) {
    this.#options = options
  }

  async take(): Promise<void> {
    const { database, cluster } = this.#options
    let isLost = false
    let held: ReservedSql | undefined
    const connection = await database.reserve({
      onNotify: (_channel, payload) => this.#hear(payload),
      onLost: () => {
        isLost = true
        if (held !== undefined && this.#connection === held) void this.#takeAgain()
      }
    })
    held = connection
    try {
      await connection.unsafe(`listen ${CHANNEL}`)
      if (!(await this.#tryToTake(connection))) throw refused(cluster, undefined)
      if (isLost) throw new Error('the connection to Postgres was lost')
    } catch (error) {
      connection.release()
      throw error
    }
    this.#connection = connection
  }

  release(): void {
    this.#isReleased = true
    this.#connection?.release()
    this.#connection = undefined
  }

  /** False: somebody holds it who lives. */
  async #tryToTake(connection: ReservedSql): Promise<boolean> {
    if (await this.#lock(connection)) return true
    const nonce = randomBytes(9).toString('base64url')
    let isAnswered = false
    this.#heard = (payload) => {
      isAnswered ||= payload === `here ${nonce}`
    }
    try {
      await connection`select pg_notify(${CHANNEL}, ${`who ${nonce}`})`
      const askedAt = performance.now()
      for (let hasEnded = false; performance.now() - askedAt < TRY_MS; await delay(PAUSE_MS)) {
        if (isAnswered) return false
        if (await this.#lock(connection)) return true
        if (!hasEnded && performance.now() - askedAt > ANSWER_MS) {
          await this.#endHolders(connection)
          hasEnded = true
        }
      }
      return false
    } finally {
      this.#heard = undefined
    }
  }

  async #lock(connection: ReservedSql): Promise<boolean> {
    const [row] =
      this.#options.cluster === undefined
        ? await connection<{ held: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as held`
        : await connection<{ held: boolean }[]>`select pg_try_advisory_lock_shared(${LOCK}) as held`
    return row?.held === true
  }

  /** Whoever holds the lock does not answer: its connection is all that is left of it, or it hangs. */
  async #endHolders(connection: ReservedSql): Promise<void> {
    this.#options.log.warn({}, 'the relay that ran over this database does not answer, its connection is ended')
    await connection`
      select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and classid = 0 and objid = ${LOCK} and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()`
  }

  #hear(payload: string): void {
    this.#heard?.(payload)
    const nonce = /^who ([\w-]+)$/.exec(payload)?.[1]
    if (nonce === undefined || this.#connection === undefined) return
    const { database } = this.#options
    database.within(database.sql`select pg_notify(${CHANNEL}, ${`here ${nonce}`})`).catch(() => {}) // it asks once
  }

  async #takeAgain(): Promise<void> {
    const { log, replaced } = this.#options
    this.#connection?.release()
    this.#connection = undefined
    while (!this.#isReleased) {
      await delay(RETRY_MS, undefined, { ref: false })
      if (this.#isReleased) return
      try {
        await this.take()
        if (this.#isReleased) this.release()
        return
      } catch (error) {
        if (error instanceof RelayRefused) {
          log.fatal({ reason: error.message }, 'another relay has taken over this database')
          replaced(error)
          return
        }
      }
    }
  }
}
