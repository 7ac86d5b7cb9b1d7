import { DatabaseUnavailable } from '../database/database.ts'

/**
 * How long one request of a peer may wait for Postgres, however many questions it asks, in whatever order: each of them
 * has a deadline of its own, and several in a row would last several deadlines. Begins when it is made.
 */
export class RequestDeadline {
  /** It has passed, and the peer was told: what is done for the request from here on must have no effect. */
  isOver = false
  readonly #passed: Promise<never>
  #reject!: (error: DatabaseUnavailable) => void
  #timer: NodeJS.Timeout | undefined
  #leftMs: number
  #since = 0

  constructor(ms: number) {
    this.#leftMs = ms
    this.#passed = new Promise((_, reject) => {
      this.#reject = reject
    })
    this.#passed.catch(() => {}) // it may pass when nobody waits for it
    this.#run()
  }

  /** What comes of the whole request, or `DatabaseUnavailable` once the deadline has passed: then the work goes on unheard. */
  async within<T>(work: Promise<T>): Promise<T> {
    try {
      return await Promise.race([work, this.#passed])
    } finally {
      clearTimeout(this.#timer)
    }
  }

  /** Waits for something that is not Postgres: the deadline does not run meanwhile. One at a time. */
  async beside<T>(work: Promise<T>): Promise<T> {
    clearTimeout(this.#timer)
    this.#leftMs -= performance.now() - this.#since
    try {
      return await work
    } finally {
      this.#run()
    }
  }

  #run(): void {
    if (this.isOver) return
    this.#since = performance.now()
    this.#timer = setTimeout(() => {
      this.isOver = true
      this.#reject(new DatabaseUnavailable('Postgres did not answer all questions of a request in time'))
    }, this.#leftMs)
  }
}
