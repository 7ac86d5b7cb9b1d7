import type { AnySql } from '../database/database.ts'
import { insertEntries, type NewEntry, type QueueEntry } from '../store/queue-entry.ts'

/**
 * A message that was stored before, under the same digest. With the same body: `waiting` in its mailbox, or `received`.
 * `duplicate`: with another body, or given up since (expired, purged).
 */
export interface Repeat {
  readonly repeat: 'waiting' | 'received' | 'duplicate'
  /** Place of the message that was stored before. */
  readonly seq: number
}

/** Where accepted messages are laid down. Both steps run in the transaction that accepts. */
export interface Shelf {
  /**
   * Stores entries in the order given, each at most once and with its audit record; answers in that order. With `isNew`
   * it is quicker, and fails as a whole (SQLSTATE 23505) when one was stored before.
   */
  insert(sql: AnySql, entries: readonly NewEntry[], isNew: boolean): Promise<(QueueEntry | Repeat)[]>
  /** Which of these are stored already, in the order given: they take no place in a quota. */
  repeats(sql: AnySql, entries: readonly NewEntry[]): Promise<(Repeat | undefined)[]>
}

/** Keeps a message only as long as it waits in its mailbox; every message is a new one. */
export const passingShelf = (isAudited: boolean): Shelf => ({
  insert: (sql, entries) => insertEntries(sql, entries, isAudited),
  repeats: async (_sql, entries) => entries.map(() => undefined)
})
