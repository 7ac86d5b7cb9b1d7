import type { AnySql } from '../database/database.ts'
import { insertEntries, type QueueEntry, type StoreOptions } from '../store/queue-entry.ts'

/**
 * A message that was stored before, under the same digest. With the same body: `waiting` in its mailbox, or `received`.
 * `duplicate`: with another body, or given up since (expired, purged).
 */
export interface Repeat {
  readonly repeat: 'waiting' | 'received' | 'duplicate'
  /** Place of the message that was stored before. */
  readonly seq: number
}

/** Where accepted messages are stored. Both steps run in the transaction that accepts. */
export interface MessageStore {
  /**
   * Stores entries in the order given, each at most once and with its audit record; answers in that order, with their
   * places filled in. With `isNew` it is quicker, and fails as a whole (SQLSTATE 23505) when one was stored before.
   */
  insert(sql: AnySql, entries: readonly QueueEntry[], isNew: boolean): Promise<(QueueEntry | Repeat)[]>
  /** Which of these are stored already, in the order given: they take no place in a quota. */
  repeats(sql: AnySql, entries: readonly QueueEntry[]): Promise<(Repeat | undefined)[]>
}

/** Stores a message only as long as it waits in its mailbox; every message is a new one. */
export const queueStore = (options: StoreOptions): MessageStore => ({
  insert: (sql, entries) => insertEntries(sql, entries, options),
  repeats: async (_sql, entries) => entries.map(() => undefined)
})
