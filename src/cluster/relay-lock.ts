import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Database, ReservedSql } from '../database/database.ts'
import { RELAY_LOCK } from '../database/migrate.ts'
import { aliveRelays, endLease, type OwnRelay, renewLease } from '../store/relay.ts'
import type { Log } from '../util/log.ts'
import { VERSION } from '../util/package-root.ts'
import { StartError } from '../util/start-error.ts'
import { LEASE_MS } from './lease.ts'

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
  release(): Promise<void>
}

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
  if (!options.database.isPooledByTransaction) {
    const lock = new HeldLock(options)
    await lock.take()
    return lock
  }
  if (options.cluster !== undefined) return { release: async () => {} } // its lease is that of the cluster
  const lease = new HeldLease(options)
  await lease.take()
  return lease
}

/** Relays behind a pooler cannot hold a lock: their leases speak for them. That of one that was killed runs out. */
async function refuseOtherClusters({ database, cluster }: RelayLockOptions): Promise<void> {
  const leases = new Map<string, number>()
  for (;;) {
    const others = await database.within(aliveRelays(database.sql))
    const strangers = others.filter((relay) => relay.cluster !== cluster)
    if (strangers.length === 0) return
    for (const { id, cluster: other, leaseUntil } of strangers) {
      if ((leases.get(id) ?? leaseUntil) !== leaseUntil) throw refused(cluster, other) // it is renewed: the relay lives
      leases.set(id, leaseUntil)
    }
    await delay(RETRY_MS)
  }
}

/** The lease of a relay that is alone, behind a pooler: where a lock would belong to another transaction's process. */
class HeldLease implements RelayLock {
  readonly #options: RelayLockOptions
  readonly #relay: OwnRelay
  #timer: NodeJS.Timeout | undefined
  #renewing: Promise<void> = Promise.resolve()

  constructor(options: RelayLockOptions) {
    this.#options = options
    this.#relay = { id: randomUUID(), cluster: ALONE, name: 'alone', version: VERSION, listenerPid: null }
  }

  /** Of two that start at once, the one that sees the other refuses. */
  async take(): Promise<void> {
    if (await this.#hasRival()) {
      await this.release()
      throw refused(undefined, undefined)
    }
    this.#timer = setInterval(() => {
      this.#renewing = this.#renew()
    }, LEASE_MS / 5)
  }

  async release(): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    const { database } = this.#options
    await database.within(endLease(database.sql, this.#relay.id)).catch(() => {}) // it runs out
  }

  async #renew(): Promise<void> {
    const { log, replaced } = this.#options
    const hasRival = await this.#hasRival().catch(() => false) // Postgres is away, for others too
    if (!hasRival) return
    clearInterval(this.#timer)
    const error = refused(undefined, undefined)
    log.fatal({ reason: error.message }, 'another relay has taken over this database')
    replaced(error)
  }

  async #hasRival(): Promise<boolean> {
    const { database } = this.#options
    const { alive } = await database.within(renewLease(database.sql, this.#relay, LEASE_MS))
    return alive.some(({ id }) => id !== this.#relay.id)
  }
}

/** In the place of a cluster's name, which cannot be spelled so. */
const ALONE = '-'

function refused(cluster: string | undefined, other: string | undefined): RelayRefused {
  const who = other === undefined || other === ALONE ? 'Another relay runs' : `A relay of the cluster ${other} runs`
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
      await database.within(connection.unsafe(`listen ${CHANNEL}`))
      if (!(await this.#tryToTake(connection))) throw refused(cluster, undefined)
      if (isLost) throw new Error('the connection to Postgres was lost')
    } catch (error) {
      connection.release()
      throw error
    }
    this.#connection = connection
  }

  async release(): Promise<void> {
    this.#isReleased = true
    this.#connection?.release()
    this.#connection = undefined
  }

  /** False: somebody holds it who lives. */
  async #tryToTake(connection: ReservedSql): Promise<boolean> {
    if (await this.#lock(connection)) return true
    const { database } = this.#options
    const nonce = randomBytes(9).toString('base64url')
    let isAnswered = false
    this.#heard = (payload) => {
      isAnswered ||= payload === `here ${nonce}`
    }
    try {
      await database.within(connection`select pg_notify(${CHANNEL}, ${`who ${nonce}`})`)
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
    const { database, cluster } = this.#options
    const asked =
      cluster === undefined
        ? connection<{ held: boolean }[]>`select pg_try_advisory_lock(${RELAY_LOCK}) as held`
        : connection<{ held: boolean }[]>`select pg_try_advisory_lock_shared(${RELAY_LOCK}) as held`
    const [row] = await database.within(asked)
    return row?.held === true
  }

  /** Whoever holds the lock does not answer: its connection is all that is left of it, or it hangs. */
  async #endHolders(connection: ReservedSql): Promise<void> {
    const { database, log } = this.#options
    log.warn({}, 'the relay that ran over this database does not answer, its connection is ended')
    await database.within(connection`
      select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and classid = 0 and objid = ${RELAY_LOCK} and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()`)
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
        if (this.#isReleased) await this.release()
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
