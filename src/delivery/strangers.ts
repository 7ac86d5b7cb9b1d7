import { LruMap } from 'toad-cache'
import { batched } from '../database/batched.ts'
import type { Database } from '../database/database.ts'
import { type Held, heldBy, type Pair, pairKey, strangers } from '../store/contact.ts'
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

/**
 * Most of a mailbox that one sender may fill, so that a friend who sends without end keeps no other friend's message out.
 * Strangers are below it anyway.
 */
const SHARE_OF_SENDER = 0.75

/** What a mailbox grants a sender: as it was asked, and what was taken since. */
export class Standing {
  readonly isStranger: boolean
  /** How long an answer of no is believed, in ms: counting costs time by what is there. */
  readonly noForMs: number
  #messages: number
  #bytes: number

  constructor(isStranger: boolean, { messages, bytes }: Held) {
    this.isStranger = isStranger
    this.noForMs = messages / ENTRIES_PER_MS
    this.#messages = messages
    this.#bytes = bytes
  }

  /** How much may wait in the mailbox for a message of the sender to be taken. */
  limitOf(limit: MailboxLimit): MailboxLimit {
    return this.isStranger ? limitOfStrangers(limit) : limit
  }

  /** Has the sender filled its share? */
  isOver(bytes: number, limit: MailboxLimit): boolean {
    return this.#messages >= limit.messages * SHARE_OF_SENDER || this.#bytes + bytes > limit.bytes * SHARE_OF_SENDER
  }

  took(bytes: number): void {
    this.#messages += 1
    this.#bytes += bytes
  }
}

/** Entries of a mailbox that are counted in a ms, at the least. */
const ENTRIES_PER_MS = 100
const NOTHING: Held = { messages: 0, bytes: 0 }

/** How long an answer is remembered, in ms: a sender to whom the owner writes now is a stranger for no longer than that. */
const REMEMBERED_MS = 5_000
const MOST_REMEMBERED = 50_000

interface Remembered {
  readonly standing: Standing
  readonly at: number
}

type Then = (standing: Standing | BatchFailure) => void

/**
 * What senders may put into a mailbox that is half full: whether its owner knows them, and how much of it is theirs. Asked of
 * Postgres in batches, and remembered for a moment, so that a flood of one sender costs a question every few seconds.
 */
export class Strangers {
  readonly #look: (pair: Pair) => Promise<Standing | BatchFailure>
  readonly #now: () => number
  readonly #remembered = new LruMap<Remembered>(MOST_REMEMBERED)
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
        const known = pairs.filter((pair) => !isStranger(pair))
        const held = await heldBy(sql, known)
        return pairs.map((pair) => new Standing(isStranger(pair), held[known.indexOf(pair)] ?? NOTHING))
      },
      failed: (error, pairs) => log.warn({ err: error, pairs }, 'contacts of senders not read')
    })
  }

  /** Does a message of this pair wait for an answer? One that comes after it has to wait, too: by `ask`. */
  isAsking(pair: Pair): boolean {
    return this.#asking.size > 0 && this.#asking.has(pairKey(pair))
  }

  /**
   * `then` is called at once when the answer is remembered, else later; for one pair in the order of the calls. `grants`:
   * does this answer let the message in? One that does not is asked again soon, since messages leave.
   */
  ask({ network, sender, recipient }: Pair, grants: (standing: Standing) => boolean, then: Then): void {
    const pair = { network, sender, recipient }
    const key = pairKey(pair)
    const asking = this.#asking.get(key)
    const known = this.#remembered.get(key)
    if (asking !== undefined) asking.push(then)
    else if (known !== undefined && this.#isBelieved(known, grants)) then(known.standing)
    else {
      const waiting = [then]
      this.#asking.set(key, waiting)
      void this.#look(pair).then((answer) => {
        this.#asking.delete(key)
        if (typeof answer !== 'string') this.#remembered.set(key, { standing: answer, at: this.#now() })
        for (const each of waiting) each(answer)
      })
    }
  }

  #isBelieved({ standing, at }: Remembered, grants: (standing: Standing) => boolean): boolean {
    const age = this.#now() - at
    return age < REMEMBERED_MS && (grants(standing) || age < standing.noForMs)
  }
}
