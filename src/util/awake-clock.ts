/** How often the clock calls its listeners, in ms. A deadline they judge by it is over at most a step late, never early. */
const STEP_MS = 1_000

/**
 * A clock that stands still while the process does: stopped by a signal, suspended with its machine, or busy in one long
 * turn. A deadline measured by it has only run while the peer could have been heard, so a process that wakes up does
 * not throw out the peers whose answers wait in its sockets.
 *
 * `onStep` listeners run once a step, after the event loop has read its sockets (Node.js: the poll phase comes between
 * timers and `setImmediate`). A step that came more than a step late counts for nothing and calls nobody. Between two steps
 * the clock runs on for a step at most, so that what is noted just before a step is not a step old at it.
 */
export class AwakeClock {
  /** What it showed at the last step, and what it showed last: it never goes back. */
  #steppedTo = 0
  #shown = 0
  #steppedAt = performance.now()
  #isClosed = false
  #listeners: ((now: number) => void)[] = []
  readonly #timer: NodeJS.Timeout

  constructor() {
    this.#timer = setInterval(() => this.#step(), STEP_MS)
    this.#timer.unref()
  }

  /** Milliseconds this clock has run. */
  get now(): number {
    const sinceStep = this.#isClosed ? 0 : Math.min(performance.now() - this.#steppedAt, STEP_MS)
    this.#shown = Math.max(this.#shown, this.#steppedTo + sinceStep)
    return this.#shown
  }

  onStep(listener: (now: number) => void): void {
    this.#listeners.push(listener)
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    this.#listeners = []
  }

  #step(): void {
    const at = performance.now()
    const passed = at - this.#steppedAt
    this.#steppedAt = at
    if (passed > 2 * STEP_MS) return
    this.#steppedTo += passed
    setImmediate(() => {
      for (const listener of this.#listeners) listener(this.now)
    })
  }
}

/**
 * Calls `expired` once `ms` have passed in which the process was awake; returns what cancels it. A timer that fires late
 * has slept, so it waits again, at most as long as before, for what its sockets hold.
 */
export function awakeTimeout(ms: number, expired: () => void): () => void {
  let dueAt = performance.now() + ms
  let timer = setTimeout(fire, ms)
  let immediate: NodeJS.Immediate | undefined
  function fire(): void {
    const lateMs = performance.now() - dueAt
    if (lateMs < STEP_MS) immediate = setImmediate(expired)
    else {
      const again = Math.min(ms, STEP_MS)
      dueAt = performance.now() + again
      timer = setTimeout(fire, again)
    }
  }
  return () => {
    clearTimeout(timer)
    clearImmediate(immediate)
  }
}
