/** Longest that frames are handled in one turn of the event loop before other sockets are heard, in ms. */
const TURN_MS = 10

/** A socket that waits for its turn. */
export interface Waiting {
  /** Handles some of what it has; false: nothing of it is left. */
  serve(): boolean
}

/**
 * Shares the turns of the event loop among all sockets of the process. While a turn has time left, a socket is served as
 * soon as its bytes come. After that it waits: first those are served that asked for little lately, then the others, a
 * piece each, round after round. In between, sockets are read, so a quiet one waits for a turn or two, however many are noisy.
 */
export class Turns {
  readonly #now: () => number
  #quiet: Waiting[] = []
  #noisy: Waiting[] = []
  /** When the time of this turn is over; undefined: nothing was served in it yet. */
  #endsAt: number | undefined

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** May a socket be served now? */
  hasRoom(isQuiet: boolean): boolean {
    if (this.#begins()) return true
    if (isQuiet ? this.#quiet.length > 0 : this.#noisy.length > 0) return false
    return this.#now() < this.#endsAt!
  }

  /** Serves a socket later. */
  wait(socket: Waiting, isQuiet: boolean): void {
    this.#begins()
    if (isQuiet) this.#quiet.push(socket)
    else this.#noisy.push(socket)
  }

  #begins(): boolean {
    if (this.#endsAt !== undefined) return false
    this.#endsAt = this.#now() + TURN_MS
    setImmediate(() => this.#next())
    return true
  }

  /** After the sockets were read: those that wait are served until the time of a turn is over. */
  #next(): void {
    if (this.#quiet.length === 0 && this.#noisy.length === 0) {
      this.#endsAt = undefined
      return
    }
    setImmediate(() => this.#next())
    this.#endsAt = this.#now() + TURN_MS
    this.#quiet = this.#serve(this.#quiet)
    this.#noisy = this.#serve(this.#noisy)
  }

  /** One piece of each, round after round; returns those that still wait. */
  #serve(waiting: Waiting[]): Waiting[] {
    let at = 0
    for (; at < waiting.length && this.#now() < this.#endsAt!; at++) {
      const socket = waiting[at]!
      if (socket.serve()) waiting.push(socket)
    }
    return waiting.slice(at)
  }
}
