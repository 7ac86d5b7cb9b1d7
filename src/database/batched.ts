import { Batcher, type BatchFailure } from '../util/batcher.ts'
import { Deadlines } from '../util/deadlines.ts'
import { type Database, DatabaseUnavailable, type Sql } from './database.ts'
import { sqlState } from './sql-state.ts'

export interface BatchedOptions<T, R> {
  readonly database: Database
  /** Carries out a batch in one statement or transaction: a result for each item, in their order. */
  readonly work: (sql: Sql, batch: readonly T[]) => Promise<readonly R[]>
  /** Hears once of a batch that failed. */
  readonly failed: (error: unknown, items: number) => void
}

/** Most items in one statement. */
const BATCH_ITEMS = 256

/**
 * Asks Postgres for many at once: what comes in while a batch is under way shares the next one, so a storm of them costs
 * a statement and a commit for each batch. How many wait is for the callers to bound: each waits for its own, in all for
 * the deadline of the database.
 */
export function batched<T, R>(options: BatchedOptions<T, R>): (item: T) => Promise<R | BatchFailure> {
  const { database, work, failed } = options
  return inBatches((some: readonly T[]) => database.within(work(database.sql, some)), database.deadlineMs, failed)
}

export interface LookUpOptions<K, R> {
  readonly database: Pick<Database, 'sql' | 'ask' | 'deadlineMs'>
  /** A result for each key, in their order, by one statement that changes nothing. */
  readonly find: (sql: Sql, keys: readonly K[]) => Promise<readonly R[]>
  readonly failed: (error: unknown, keys: number) => void
}

/** The same for questions, see `Database.ask`. Rejects with `DatabaseUnavailable`. */
export function lookUps<K, R>({ database, find, failed }: LookUpOptions<K, R>): (key: K) => Promise<R> {
  const ask = async (some: readonly K[]) => {
    const found = await database.ask(() => find(database.sql, some))
    return found.map((result) => ({ result }))
  }
  const look = inBatches(ask, database.deadlineMs, failed)
  return async (key) => {
    const answer = await look(key)
    if (typeof answer === 'string') throw new DatabaseUnavailable('Postgres did not answer')
    return answer.result
  }
}

function inBatches<T, R>(
  write: (batch: readonly T[]) => Promise<readonly R[]>,
  deadlineMs: number,
  failed: (error: unknown, items: number) => void
): (item: T) => Promise<R | BatchFailure> {
  const unbounded = Number.POSITIVE_INFINITY
  const batcher = new Batcher<{ item: T; bytes: number }, R>({
    write: (batch) => {
      const items = batch.map(({ item }) => item)
      return bisectOnError(items, write, failed)
    },
    limits: {
      ...{ batchItems: BATCH_ITEMS, batchBytes: unbounded, waitingItems: unbounded, waitingBytes: unbounded },
      deadlineMs
    },
    failed: (error) => failed(error, 1)
  })
  const deadlines = new Deadlines(deadlineMs)
  return (item) =>
    new Promise((resolve) => {
      const wait = deadlines.begin(() => resolve('unavailable'))
      batcher.add({ item, bytes: 0 }, (result) => {
        wait.end()
        resolve(result)
      })
    })
}

/**
 * Writes a batch. When that fails for what is in it, in two halves: one item that Postgres refuses must not take its
 * neighbours with it. A batch that fails for another reason is `unavailable` as a whole.
 */
export async function bisectOnError<T, R>(
  batch: readonly T[],
  write: (batch: readonly T[]) => Promise<readonly R[]>,
  failed: (error: unknown, items: number) => void
): Promise<(R | BatchFailure)[]> {
  try {
    return [...(await write(batch))]
  } catch (error) {
    if (batch.length === 1 || !isOfTheBatch(error)) {
      failed(error, batch.length)
      return batch.map(() => 'unavailable' as const)
    }
    const middle = batch.length >> 1
    const first = await bisectOnError(batch.slice(0, middle), write, failed)
    return [...first, ...(await bisectOnError(batch.slice(middle), write, failed))]
  }
}

/**
 * SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation), and a deadlock: the fault of a row, or
 * of two batches that met, not of the server.
 */
export const isOfTheBatch = (error: unknown): boolean => /^(2[23]|40P01)/.test(sqlState(error) ?? '')
