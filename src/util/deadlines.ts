/** Longest that a deadline is noticed late, in ms: one timer watches all of them. */
const STEP_MS = 20

/** A wait that has begun. */
export interface Wait {
  /** It is over. False: its deadline had passed before, and whoever waited was told. */
  end(): boolean
}

interface OpenWait {
  readonly dueAt: number
  readonly passed: () => void
}

/** Waits that must not last longer than so many ms, very many of them: a message costs no timer of its own. */
export class Deadlines {
  readonly #ms: number
  /** Nearly in the order in which they are due: some began before they came here. */
  readonly #open = new Set<OpenWait>()
  #watch: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  /** Begins a wait; `passed` is called, once, when it has not ended in time. `since`: ms, monotonic. */
  begin(passed: () => void, since = performance.now()): Wait {
    const wait = { dueAt: since + this.#ms, passed }
    this.#open.add(wait)
    this.#watch ??= setTimeout(() => this.#look(), STEP_MS)
    return { end: () => this.#open.delete(wait) }
  }

  #look(): void {
    this.#watch = undefined
    const now = performance.now()
    for (const wait of this.#open) if (wait.dueAt <= now) this.#pass(wait)
    if (this.#open.size > 0) this.#watch ??= setTimeout(() => this.#look(), STEP_MS)
  }

  #pass(wait: OpenWait): void {
    this.#open.delete(wait)
    wait.passed()
  }
}
