import { LruMap } from 'toad-cache'
import type { MailboxName } from '../store/queue-entry.ts'

/** After a write was answered, so long until everybody has heard what became of its messages, in ms. */
const HEARD_MS = 1_000
/** So long Postgres may still carry out a write that got no answer, or one of the server that ran before this one, in ms. */
const DOUBT_MS = 60_000
/** Most mailboxes whose floor is known; the longest unused is forgotten, and its mailbox read whole the next time. */
const MOST_FLOORS = 100_000

/** A write under way: the entries it stores come after this place. */
interface Write {
  readonly after: number
  answeredAt: number | undefined
}

/**
 * A place in each mailbox up to which nothing is left, nor will be: reads begin there. Without it, a read passes over every
 * entry that was ever received and is not vacuumed yet; beside a long transaction of somebody else that is all of them.
 *
 * Places are given in the order of one sequence. So what is stored from now on comes after every place seen so far, but
 * for the writes under way: theirs come after what had been seen when they began. `settled` is the last place that no
 * write can come before any more. A mailbox that is known to be empty has its floor there.
 *
 * Of a relay that is alone: nobody else writes into its mailboxes.
 */
export class MailboxFloors {
  readonly #floors = new LruMap<number>(MOST_FLOORS)
  /** In the order in which they began, so the first has the lowest `after`. */
  readonly #writes: Write[] = []
  readonly #clock: () => number
  /** Of writes that got no answer: the lowest `after`, and until when they may still be carried out. */
  #doubt: { after: number; until: number }
  #seen = 0

  /** `clock`: milliseconds that never go back. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
    this.#doubt = { after: 0, until: clock() + DOUBT_MS }
  }

  /** Carries out a write of entries, which get their places in it; a place of 0: it was not stored. */
  async writing<T>(entries: readonly { readonly seq: number }[], write: () => Promise<T>): Promise<T> {
    this.#forgetAnswered()
    const underWay: Write = { after: this.#seen, answeredAt: undefined }
    this.#writes.push(underWay)
    try {
      const result = await write()
      for (const { seq } of entries) if (seq > 0) this.#given(seq, underWay)
      return result
    } catch (error) {
      const now = this.#clock()
      const isDoubted = now < this.#doubt.until
      this.#doubt = { after: isDoubted ? this.#doubt.after : underWay.after, until: now + DOUBT_MS }
      throw error
    } finally {
      underWay.answeredAt = this.#clock()
    }
  }

  /** An entry has this place. */
  saw(seq: number): void {
    if (seq > this.#seen) this.#seen = seq
  }

  /** An entry at this place waits, although it was not known of: its write got no answer. */
  stays(box: MailboxName, seq: number): void {
    if (this.of(box) >= seq) this.#floors.set(keyOf(box), seq - 1)
  }

  /** Whatever will be stored comes after this place. */
  get settled(): number {
    this.#forgetAnswered()
    const settled = this.#writes[0]?.after ?? this.#seen
    return this.#clock() < this.#doubt.until ? Math.min(settled, this.#doubt.after) : settled
  }

  /** Nothing is left in this mailbox up to this place; 0: that is not known. */
  of(box: MailboxName): number {
    return this.#floors.get(keyOf(box)) ?? 0
  }

  /** The mailbox was read whole, when `settled` was this; `first`: the place of its first entry, 0: it has none. */
  wasRead(box: MailboxName, settled: number, first: number): void {
    this.#raise(box, first === 0 ? settled : Math.min(settled, first - 1))
  }

  /** The mailbox is empty, as those count who hear of everything that is stored. */
  isEmpty(box: MailboxName): void {
    this.#raise(box, this.settled)
  }

  /** A place that was passed already: a database that went back, to a backup or a standby that lagged, gives them anew. */
  #given(seq: number, { after }: Write): void {
    if (seq > after) this.saw(seq)
    else {
      this.#floors.clear()
      this.#seen = seq
      this.#doubt = { after: 0, until: this.#clock() + DOUBT_MS }
    }
  }

  #raise(box: MailboxName, floor: number): void {
    const key = keyOf(box)
    this.#floors.set(key, Math.max(this.#floors.get(key) ?? 0, floor))
  }

  #forgetAnswered(): void {
    const before = this.#clock() - HEARD_MS
    let count = 0
    for (const { answeredAt } of this.#writes) {
      if (answeredAt === undefined || answeredAt > before) break
      count += 1
    }
    if (count > 0) this.#writes.splice(0, count)
  }
}

const keyOf = ({ network, recipient }: MailboxName) => `${network} ${recipient}`
