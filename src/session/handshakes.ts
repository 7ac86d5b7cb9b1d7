import { HandshakeRate } from './handshake-rate.ts'

/** Most handshakes that go on in one turn of the event loop: some milliseconds of it. */
const MOST_OF_A_TURN = 8
/** Fewest, however long turns are: others may be the reason. */
const LEAST_OF_A_TURN = 2
/** After a turn that took longer one less goes on, after a shorter one one more, in ms. */
const LONG_TURN_MS = 30
/** Longest that a handshake waits for its turn: clients give up after ten seconds or more, in ms. */
const LONGEST_WAIT_MS = 5_000
/** Handshakes that waited too long and are refused in one turn. */
const REFUSED_OF_A_TURN = 16

interface Waiting {
  readonly since: number
  readonly go: (retryAfter: number | undefined) => void
}

/**
 * Shares the turns of the event loop among handshakes, so that thousands of connections at once keep no socket waiting for
 * long: some go on in each turn, first come, first served, those from addresses that asked for little before the others. How
 * many depends on how long turns take, since each handshake becomes a registration a moment later. One whose turn has not
 * come in time is refused, and told when to come back.
 */
export class Handshakes {
  readonly #now: () => number
  readonly #quiet: Waiting[] = []
  readonly #noisy: Waiting[] = []
  readonly #rate: HandshakeRate
  #ofATurn = MOST_OF_A_TURN
  #left = MOST_OF_A_TURN
  #turnBeganAt: number | undefined

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#rate = new HandshakeRate(now)
  }

  /** Handshakes that wait for their turn. */
  get waiting(): number {
    return this.#quiet.length + this.#noisy.length
  }

  /** Resolves in the turn of this handshake with undefined, or, where it is refused, with the seconds until it may come back. */
  async turn(isQuiet: boolean): Promise<number | undefined> {
    this.#count()
    if (this.#left > 0) {
      this.#left -= 1
      return undefined
    }
    const since = this.#now()
    return new Promise((go) => void (isQuiet ? this.#quiet : this.#noisy).push({ since, go }))
  }

  #count(): void {
    if (this.#turnBeganAt !== undefined) return
    this.#turnBeganAt = this.#now()
    setImmediate(() => this.#next())
  }

  #next(): void {
    const now = this.#now()
    const isLong = now - this.#turnBeganAt! > LONG_TURN_MS
    this.#turnBeganAt = undefined
    this.#ofATurn = Math.min(MOST_OF_A_TURN, Math.max(LEAST_OF_A_TURN, this.#ofATurn + (isLong ? -1 : 1)))
    this.#left = this.#ofATurn
    if (this.waiting === 0) {
      this.#rate.rest()
      return
    }
    for (const queue of [this.#quiet, this.#noisy]) {
      for (const { go } of queue.splice(0, this.#left)) {
        this.#left -= 1
        this.#rate.admitted()
        go(undefined)
      }
    }
    for (const queue of [this.#quiet, this.#noisy]) this.#refuseOverdue(queue, now)
    this.#count()
  }

  #refuseOverdue(queue: Waiting[], now: number): void {
    const isOverdue = ({ since }: Waiting) => now - since > LONGEST_WAIT_MS
    let overdue = 0
    while (overdue < REFUSED_OF_A_TURN && overdue < queue.length && isOverdue(queue[overdue]!)) overdue += 1
    for (const { go } of queue.splice(0, overdue)) go(this.#rate.appointment())
  }
}
