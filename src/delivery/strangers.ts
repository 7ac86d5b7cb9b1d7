import { batched } from '../database/batched.ts'
import type { Database } from '../database/database.ts'
import { type Pair, pairKey, strangers } from '../store/contact.ts'
import type { BatchFailure } from '../util/batcher.ts'
import type { MailboxLimit } from './mailbox-counter.ts'

/**
 * Part of a mailbox that senders may fill whom its owner does not know: the rest is for those it has written to, or who wrote
 * to it before a day ago, so that names made for a flood keep no friend's message out.
 */
export const SHARE_OF_STRANGERS = 0.5

/** How much may wait in a mailbox for a message of a stranger to be taken. */
export const limitOfStrangers = ({ messages, bytes }: MailboxLimit): MailboxLimit => ({
  messages: messages * SHARE_OF_STRANGERS,
  bytes: bytes * SHARE_OF_STRANGERS
})

/** How long an answer is remembered, in ms: a sender to whom the owner writes now is a stranger for no longer than that. */
const REMEMBERED_MS = 5_000
const MOST_REMEMBERED = 50_000

type Then = (isStranger: boolean | BatchFailure) => void

/**
 * Which senders the owner of a mailbox does not know. Asked of Postgres in batches, and remembered for a moment, so that a
 * flood of one sender costs a question every few seconds.
 */
export class Strangers {
  readonly #look: (pair: Pair) => Promise<boolean | BatchFailure>
  readonly #now: () => number
  readonly #remembered = new Map<string, { readonly isStranger: boolean; readonly at: number }>()
  /** Who waits for the answer about a pair, in their order. */
  readonly #asking = new Map<string, Then[]>()

  /** `now`: of a monotonic clock, in ms. */
  constructor(
    database: Database,
    { log, now = () => performance.now() }: { log: { warn(facts: object, message: string): void }; now?: () => number }
  ) {
    this.#now = now
    this.#look = batched({
      database,
      work: async (sql, pairs: readonly Pair[]) => {
        const isStranger = await strangers(sql, pairs)
        return pairs.map(isStranger)
      },
      failed: (error, pairs) => log.warn({ err: error, pairs }, 'contacts of senders not read')
    })
  }

  /** Does a message of this pair wait for an answer? One that comes after it has to wait, too: by `ask`. */
  isAsking(pair: Pair): boolean {
    return this.#asking.size > 0 && this.#asking.has(pairKey(pair))
  }

  /** `then` is called at once when the answer is remembered, else later; for one pair in the order of the calls. */
  ask({ network, sender, recipient }: Pair, then: Then): void {
    const pair = { network, sender, recipient }
    const key = pairKey(pair)
    const asking = this.#asking.get(key)
    const known = this.#remembered.get(key)
    if (asking !== undefined) asking.push(then)
    else if (known !== undefined && this.#now() - known.at < REMEMBERED_MS) then(known.isStranger)
    else {
      const waiting = [then]
      this.#asking.set(key, waiting)
      void this.#look(pair).then((answer) => {
        this.#asking.delete(key)
        if (typeof answer === 'boolean') this.#remember(key, answer)
        for (const each of waiting) each(answer)
      })
    }
  }

  #remember(key: string, isStranger: boolean): void {
    this.#remembered.delete(key) // it is the youngest now
    this.#remembered.set(key, { isStranger, at: this.#now() })
    if (this.#remembered.size > MOST_REMEMBERED) this.#remembered.delete(this.#remembered.keys().next().value!)
  }
}
