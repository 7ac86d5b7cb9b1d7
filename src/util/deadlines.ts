/** Longest that a deadline is noticed late, in ms: one timer watches all of them. */
const STEP_MS = 20

/** A wait that has begun. */
export interface Wait {
  /** It is over. False: its deadline had passed before, and whoever waited was told. */
  end(): boolean
}

interface Watched {
  readonly dueAt: number
  /** Undefined: it is over. */
  passed: (() => void) | undefined
}

/** Waits that must not last longer than so many ms, very many of them: a message costs no timer of its own. */
export class Deadlines {
  readonly #ms: number
  /** Nearly in the order in which they are due: some began before they came here. Those that are over leave with a step. */
  #watched: Watched[] = []
  #step: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  /** Begins a wait; `passed` is called, once, when it has not ended in time. `since`: ms, monotonic. */
  begin(passed: () => void, since = performance.now()): Wait {
    const wait: Watched = { dueAt: since + this.#ms, passed }
    this.#watched.push(wait)
    this.#step ??= setTimeout(() => this.#look(), STEP_MS)
    return {
      end: () => {
        const isInTime = wait.passed !== undefined
        wait.passed = undefined
        return isInTime
      }
    }
  }

  #look(): void {
    this.#step = undefined
    const now = performance.now()
    const due = this.#watched.filter((wait) => wait.dueAt <= now)
    this.#watched = this.#watched.filter((wait) => wait.dueAt > now && wait.passed !== undefined)
    if (this.#watched.length > 0) this.#step = setTimeout(() => this.#look(), STEP_MS)
    for (const wait of due) pass(wait)
  }
}

function pass(wait: Watched): void {
  const { passed } = wait
  wait.passed = undefined
  passed?.()
}
