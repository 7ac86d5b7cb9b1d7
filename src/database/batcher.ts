import type { Database, Sql } from './database.ts'
import { GroupCommit, type GroupFailure } from './group-commit.ts'

export interface GroupedOptions<T, R> {
  readonly database: Database
  /** Carries out a group in one statement or transaction: a result for each item, in their order. */
  readonly work: (sql: Sql, group: readonly T[]) => Promise<readonly R[]>
  /** Hears once of a group that failed. */
  readonly failed: (error: unknown, items: number) => void
}

/** Most items in one statement. */
const GROUP_ITEMS = 256

/**
 * Asks Postgres for many at once: what comes in while a group is under way shares the next one, so a storm of them costs
 * a statement and a commit for each group. How many wait is for the callers to bound: each waits for its own.
 */
export function grouped<T, R>(options: GroupedOptions<T, R>): (item: T) => Promise<R | GroupFailure> {
  const { database, work, failed } = options
  const write = (group: readonly { item: T }[]): Promise<(R | GroupFailure)[]> => {
    const items = group.map(({ item }) => item)
    return inHalves(items, (some) => database.within(work(database.sql, some)), failed)
  }
  const unbounded = Number.POSITIVE_INFINITY
  const groups = new GroupCommit<{ item: T; bytes: number }, R>(write, {
    ...{ groupItems: GROUP_ITEMS, groupBytes: unbounded, waitingItems: unbounded, waitingBytes: unbounded },
    deadlineMs: database.deadlineMs
  })
  return (item) => new Promise((resolve) => groups.add({ item, bytes: 0 }, resolve))
}

/**
 * Writes a group. When that fails for what is in it, in two halves: one item that Postgres refuses must not take its
 * neighbours with it.
 */
export async function inHalves<T, R>(
  group: readonly T[],
  write: (group: readonly T[]) => Promise<readonly R[]>,
  failed: (error: unknown, items: number) => void
): Promise<(R | GroupFailure)[]> {
  try {
    return [...(await write(group))]
  } catch (error) {
    if (group.length === 1 || !isOfTheGroup(error)) {
      failed(error, group.length)
      return group.map(() => 'unavailable' as const)
    }
    const middle = group.length >> 1
    const first = await inHalves(group.slice(0, middle), write, failed)
    return [...first, ...(await inHalves(group.slice(middle), write, failed))]
  }
}

/**
 * SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation), and a deadlock: the fault of a row, or
 * of two groups that met, not of the server.
 */
const isOfTheGroup = (error: unknown): boolean => /^(2[23]|40P01)/.test(sqlState(error) ?? '')

export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}
