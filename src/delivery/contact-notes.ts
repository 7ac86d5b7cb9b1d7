import { batched } from '../database/batched.ts'
import type { Database } from '../database/database.ts'
import { noteContacts, type Pair, pairKey } from '../store/contact.ts'
import type { BatchFailure } from '../util/batcher.ts'

/** Pairs that are remembered as noted; past it all are noted anew. */
const MAX_NOTED = 50_000
const DAY_MS = 86_400_000

/**
 * Notes in Postgres who has written to whom: of every pair the first message of a day, after its commit. A note that fails is
 * made with the next message.
 */
export class ContactNotes {
  readonly #noted = new Set<string>()
  readonly #write: (pair: Pair) => Promise<unknown | BatchFailure>
  readonly #now: () => number
  #day: number | undefined

  constructor(
    database: Database,
    { now, log }: { readonly now: () => number; readonly log: { debug(facts: object, message: string): void } }
  ) {
    this.#now = now
    this.#write = batched({
      database,
      work: async (sql, pairs: readonly Pair[]) => {
        await noteContacts(sql, pairs)
        return pairs
      },
      failed: (error, pairs) => log.debug({ err: error, pairs }, 'contacts not noted')
    })
  }

  /** A message was stored. */
  stored({ network, sender, recipient }: Pair): void {
    const pair = { network, sender, recipient }
    const key = pairKey(pair)
    const day = Math.floor(this.#now() / DAY_MS)
    if (this.#day !== day || this.#noted.size >= MAX_NOTED) this.#noted.clear()
    this.#day = day
    if (this.#noted.has(key)) return
    this.#noted.add(key)
    void this.#write(pair).then((result) => {
      if (typeof result === 'string') this.#noted.delete(key)
    })
  }
}
