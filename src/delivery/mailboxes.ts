import type { Database } from '../database/database.ts'
import { deleteOldMessages } from '../store/message.ts'
import { expireEntries } from '../store/queue-entry.ts'
import { sweepProofs } from '../store/used-proof.ts'
import type { Mailbox } from './mailbox.ts'

/** Rows deleted in one step of a sweep: a short transaction. */
const SWEEP_ROWS = 1_000

/** The mailboxes of both protocols, and what happens to all of them alike. */
export class Mailboxes {
  readonly signaling: Mailbox
  readonly l2ps: Mailbox
  readonly #database: Database
  readonly #now: () => number

  constructor(options: { signaling: Mailbox; l2ps: Mailbox; database: Database; now: () => number }) {
    this.signaling = options.signaling
    this.l2ps = options.l2ps
    this.#database = options.database
    this.#now = options.now
  }

  /** Resolves when every accepted message is answered and every release is written. */
  async drained(): Promise<void> {
    await Promise.all([this.signaling.drained(), this.l2ps.drained()])
  }

  /** Deletes undelivered messages past their time; returns how many. */
  expire(): Promise<number> {
    return this.#sweep((sql) => expireEntries(sql, this.#now(), SWEEP_ROWS))
  }

  /** Deletes from history what is older than `ms`, and proofs that are too old to be shown again. */
  async forget(ms: number): Promise<void> {
    await this.#sweep((sql) => deleteOldMessages(sql, this.#now() - ms, SWEEP_ROWS))
    await this.#sweep((sql) => sweepProofs(sql, this.#now(), SWEEP_ROWS))
  }

  /** Deletes in bounded steps until a step finds less than it might. */
  async #sweep(step: (sql: Database['sql']) => Promise<number>): Promise<number> {
    let gone = 0
    for (;;) {
      const count = await this.#database.within(step(this.#database.sql))
      gone += count
      if (count < SWEEP_ROWS) return gone
    }
  }
}
