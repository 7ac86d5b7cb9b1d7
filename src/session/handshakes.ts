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
  /** It went on, or was refused. */
  isOver: boolean
}

/** Handshakes by address: addresses take turns, each with its oldest one. */
class Line {
  readonly #ofAddress = new Map<string, Waiting[]>()

  add(address: string, waiting: Waiting): void {
    const others = this.#ofAddress.get(address)
    if (others === undefined) this.#ofAddress.set(address, [waiting])
    else others.push(waiting)
  }

  /** Takes the next one out; undefined: nobody waits. */
  next(): Waiting | undefined {
    for (const [address, line] of this.#ofAddress) {
      const first = line.shift()!
      this.#ofAddress.delete(address)
      if (line.length > 0) this.#ofAddress.set(address, line) // behind all others
      if (!first.isOver) return first
    }
    return undefined
  }
}

/**
 * Shares the turns of the event loop among handshakes, so that thousands of connections at once keep no socket waiting for
 * long: some go on in each turn, in the order in which they came, but a second one of an address not before the first one of another; those
 * from addresses that asked for little before the others. How many depends on how long turns take, since each handshake becomes a registration a moment later. One whose turn has not
 * come in time is refused, and told when to come back.
 */
export class Handshakes {
  readonly #now: () => number
  readonly #quiet = new Line()
  readonly #noisy = new Line()
  /** All that wait, the oldest first, and some that wait no more. */
  #byAge: Waiting[] = []
  #waits = 0
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
    return this.#waits
  }

  /** Resolves in the turn of this handshake with undefined, or, where it is refused, with the seconds until it may come back. */
  async turn(address: string, isQuiet: boolean): Promise<number | undefined> {
    this.#count()
    if (this.#left > 0) {
      this.#left -= 1
      return undefined
    }
    const since = this.#now()
    return new Promise((go) => {
      const waiting = { since, go, isOver: false }
      const line = isQuiet ? this.#quiet : this.#noisy
      line.add(address, waiting)
      this.#byAge.push(waiting)
      this.#waits += 1
    })
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
    if (this.#waits === 0) {
      this.#byAge = []
      this.#rate.rest()
      return
    }
    while (this.#left > 0) {
      const first = this.#quiet.next() ?? this.#noisy.next()
      if (first === undefined) break
      this.#left -= 1
      this.#rate.admitted()
      this.#end(first)
    }
    this.#refuseOverdue(now)
    this.#count()
  }

  #refuseOverdue(now: number): void {
    let seen = 0
    let refused = 0
    for (const waiting of this.#byAge) {
      if (!waiting.isOver) {
        if (now - waiting.since <= LONGEST_WAIT_MS || refused === REFUSED_OF_A_TURN) break
        refused += 1
        this.#end(waiting, this.#rate.appointment())
      }
      seen += 1
    }
    this.#byAge.splice(0, seen)
  }

  #end(waiting: Waiting, retryAfter?: number): void {
    waiting.isOver = true
    this.#waits -= 1
    waiting.go(retryAfter)
  }
}
