/** How long work may keep the event loop before other work has its turn, in ms. */
export const SLICE_MS = 10

/**
 * Long work in slices of some milliseconds, one slice in a turn of the event loop, whatever is waiting. Work is a
 * generator that yields after each short step. Several works take turns.
 */
export class Slices {
  readonly #clock: () => number
  #queue: Iterator<void>[] = []
  #isScheduled = false

  constructor(clock = () => performance.now()) {
    this.#clock = clock
  }

  /** Starts at once if nothing else is waiting, so short work is done when this returns. An error in it is thrown. */
  run(work: Iterator<void>): void {
    this.#queue.push(work)
    if (!this.#isScheduled) this.#slice()
  }

  /** Drops what is not done. */
  close(): void {
    this.#queue = []
  }

  #slice(): void {
    const work = this.#queue.shift()
    if (work === undefined) return
    const end = this.#clock() + SLICE_MS
    let isDone = false
    try {
      do isDone = work.next().done === true
      while (!isDone && this.#clock() < end)
    } catch (error) {
      isDone = true
      throw error
    } finally {
      if (!isDone) this.#queue.push(work)
      if (this.#queue.length > 0) this.#schedule()
    }
  }

  #schedule(): void {
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#slice()
    })
  }
}
