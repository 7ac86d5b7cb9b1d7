import type { Database } from '../database/database.ts'
import { sweepProofs } from '../store/identity.ts'
import { deleteOldMessages } from '../store/message.ts'
import { expireEntries, type GoneEntry } from '../store/queue-entry.ts'
import type { Mailbox } from './mailbox.ts'
import type { MailboxCounters } from './mailbox-counter.ts'
import type { Releases } from './releases.ts'

/** Rows deleted in one step of a sweep: a short transaction. */
const SWEEP_ROWS = 1_000

export interface MailboxesOptions {
  readonly signaling: Mailbox
  readonly l2ps: Mailbox
  readonly releases: Releases
  readonly counters: MailboxCounters
  /** Hears that an entry of so many bytes has left a mailbox of a network. */
  readonly left: (network: string, bytes: number) => void
  /** Tells the sessions of a recipient that an entry is gone. */
  readonly tell: (entry: GoneEntry) => void
  /** Tells other relays that entries are gone. */
  readonly tellOthers: (entries: readonly GoneEntry[]) => void
  readonly database: Database
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** The mailboxes of both protocols, and what happens to all of them alike. */
export class Mailboxes {
  readonly signaling: Mailbox
  readonly l2ps: Mailbox
  readonly #options: MailboxesOptions

  constructor(options: MailboxesOptions) {
    this.signaling = options.signaling
    this.l2ps = options.l2ps
    this.#options = options
  }

  /** Resolves when every accepted message is answered, every release written and every end of a session noted. */
  async drained(): Promise<void> {
    await Promise.all([this.signaling.drained(), this.l2ps.drained()])
    await this.#options.releases.drained()
  }

  /** Deletes undelivered messages past their time; returns how many. */
  async expire(): Promise<number> {
    const { database, now } = this.#options
    let expired = 0
    for (;;) {
      const gone = await database.within(expireEntries(database.sql, now(), SWEEP_ROWS))
      this.gone(gone)
      expired += gone.length
      if (gone.length < SWEEP_ROWS) return expired
    }
  }

  /** These entries expired or were purged: they are counted no more, and no session has to receipt them. */
  gone(entries: readonly GoneEntry[]): void {
    if (entries.length > 0) this.#options.tellOthers(entries)
    this.goneElsewhere(entries)
  }

  /** The same; another relay has deleted them, and told all. */
  goneElsewhere(entries: readonly GoneEntry[]): void {
    const { releases, counters, left, tell } = this.#options
    releases.gone(entries)
    for (const entry of entries) {
      counters.find(entry.network, entry.recipient)?.giveBack(entry.bytes)
      left(entry.network, entry.bytes)
      tell(entry)
    }
  }

  /** Deletes from history what is older than `ms`, and proofs that are too old to be shown again. */
  async forget(ms: number): Promise<void> {
    const { database, now } = this.#options
    const before = now() - ms
    for (let afterSeq = 0; ; ) {
      const step = await database.within(deleteOldMessages(database.sql, before, afterSeq, SWEEP_ROWS))
      if (step === undefined) break
      afterSeq = step.lastSeq
    }
    while ((await database.within(sweepProofs(database.sql, now(), SWEEP_ROWS))) === SWEEP_ROWS);
  }
}
