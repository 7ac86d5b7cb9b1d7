import type { Rank } from '../limits/accounts.ts'
import { NoisyBudget } from '../limits/noisy-budget.ts'

/** Longest that sockets of a rank are served in one turn of the event loop before others are heard, in ms. */
const QUIET_MS = 10
/** A message takes some ten turns through the database, and each of them is longer by this. */
const NOISY_MS = 2
const VISITORS_MS = 2
/** Strangers are served for so long, and then not for four times as long as it took: together they get a fifth of the process. */
const STRANGERS_MS = 2
const STRANGERS_REST = 4
/** Longest that they rest after a pause of the process, in ms. */
const STRANGERS_LONGEST_REST_MS = 1_000

/** In the order in which they are served. */
const RANKS: readonly Rank[] = ['quiet', 'visitor', 'noisy', 'stranger']

/** A socket that waits for its turn. */
export interface Waiting {
  /** May change while it waits: those of one address share its budget. */
  readonly rank: Rank
  /** Handles some of what it has; false: nothing of it is left. */
  serve(): boolean
}

/** Work of a socket that is done in one turn: nothing of it is left then. */
export class OneTurn implements Waiting {
  readonly #of: { readonly rank: Rank }
  readonly #work: () => void

  /** `of`: whose rank it is. */
  constructor(of: { readonly rank: Rank }, work: () => void) {
    this.#of = of
    this.#work = work
  }

  get rank(): Rank {
    return this.#of.rank
  }

  serve(): boolean {
    this.#work()
    return false
  }
}

/**
 * Shares the turns of the event loop among all sockets of the process. While a turn has time left, a socket is served as
 * soon as its bytes come. After that it waits: first those are served that asked for little lately, then the others, for
 * a shorter time, a piece each, round after round. In between, sockets and the database are read, so a quiet one waits for a
 * turn or two, however many are noisy. Strangers, who have asked for more than a registration without one, come last.
 */
export class Turns {
  readonly #now: () => number
  readonly #noisy: NoisyBudget
  #waiting: Record<Rank, Waiting[]> = { quiet: [], visitor: [], noisy: [], stranger: [] }
  /** When this turn began; undefined: nothing was served in it yet. */
  #beganAt: number | undefined
  #strangersRestUntil = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(noisy = new NoisyBudget(), now: () => number = () => performance.now()) {
    this.#noisy = noisy
    this.#now = now
  }

  /** May a socket be served now? */
  hasRoom(rank: Rank): boolean {
    if (rank === 'stranger' || this.#restMs(rank) > 0) return false
    if (this.#begins()) return true
    if (this.#waiting[rank].length > 0) return false
    return this.#now() - this.#beganAt! < (rank === 'quiet' ? QUIET_MS : NOISY_MS)
  }

  /** Serves a socket later. */
  wait(socket: Waiting): void {
    this.#begins()
    this.#waiting[socket.rank].push(socket)
  }

  #begins(): boolean {
    if (this.#beganAt !== undefined) return false
    this.#beganAt = this.#now()
    setImmediate(() => this.#next())
    return true
  }

  /** After the sockets were read: those that wait are served until the time of a turn is over. */
  #next(): void {
    this.#serve('quiet', QUIET_MS)
    this.#serve('visitor', VISITORS_MS)
    this.#serve('noisy', NOISY_MS)
    if (this.#restMs('stranger') <= 0) {
      const began = this.#now()
      this.#serve('stranger', STRANGERS_MS)
      const ended = this.#now()
      this.#strangersRestUntil = ended + Math.min(STRANGERS_REST * (ended - began), STRANGERS_LONGEST_REST_MS)
    }
    const ranks = RANKS.filter((rank) => this.#waiting[rank].length > 0)
    const restMs = Math.min(...ranks.map((rank) => this.#restMs(rank)))
    this.#beganAt = undefined
    if (restMs <= 0) this.#begins()
    else if (ranks.length > 0) this.#wakeAfter(restMs)
  }

  /** How long until a rank may be served, in ms. */
  #restMs(rank: Rank): number {
    const now = this.#now()
    if (rank === 'noisy') return this.#noisy.waitMs(now)
    return rank === 'stranger' ? Math.max(0, this.#strangersRestUntil - now) : 0
  }

  #wakeAfter(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#begins(), ms)
  }

  /** One piece of each, round after round, for so long. Who has come down in rank while it waited goes on waiting there. */
  #serve(rank: Rank, ms: number): void {
    const waiting = this.#waiting[rank]
    if (waiting.length === 0) return
    const endsAt = this.#now() + ms
    let at = 0
    for (; at < waiting.length && this.#now() < endsAt && (rank !== 'noisy' || this.#restMs(rank) <= 0); at++) {
      const socket = waiting[at]!
      if (RANKS.indexOf(socket.rank) > RANKS.indexOf(rank)) this.#waiting[socket.rank].push(socket)
      else if (socket.serve()) waiting.push(socket)
    }
    this.#waiting[rank] = waiting.slice(at)
  }
}
