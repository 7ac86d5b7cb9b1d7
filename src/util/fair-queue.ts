/** Longest that work waits for its turn, in ms: then its peer has given up. */
const STALE_MS = 10_000

interface Waiting {
  readonly since: number
  start(): void
  refuse(): void
}

/**
 * At most `atOnce` pieces of work at once. What waits is served in rounds, one piece for each key, so that whoever asks for
 * very much waits for itself. When the queue is full, it is the longest key's youngest piece that is refused.
 */
export class FairQueue {
  readonly #atOnce: number
  readonly #length: number
  readonly #waiting = new Map<string, Waiting[]>()
  #underWay = 0
  #waits = 0

  constructor(atOnce: number, length: number) {
    this.#atOnce = atOnce
    this.#length = length
  }

  /** Runs `work` in its turn; undefined: too much waits, or it waited too long. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#underWay < this.#atOnce) this.#underWay += 1
    else if (!(await this.#turn(key))) return undefined
    try {
      return await work()
    } finally {
      this.#underWay -= 1
      this.#next()
    }
  }

  /** Waits; false: refused. Whoever gets its turn is counted as under way already. */
  #turn(key: string): Promise<boolean> {
    return new Promise((resolve) => {
      const mine = this.#waiting.get(key) ?? []
      this.#waiting.set(key, mine)
      mine.push({ since: performance.now(), start: () => resolve(true), refuse: () => resolve(false) })
      this.#waits += 1
      if (this.#waits > this.#length) this.#refuseOne()
    })
  }

  #refuseOne(): void {
    let longest = ''
    for (const [key, { length }] of this.#waiting) {
      if (length > (this.#waiting.get(longest)?.length ?? 0)) longest = key
    }
    const waiting = this.#waiting.get(longest)!
    waiting.pop()!.refuse()
    this.#waits -= 1
    if (waiting.length === 0) this.#waiting.delete(longest)
  }

  #next(): void {
    while (this.#underWay < this.#atOnce) {
      const first = this.#waiting.entries().next().value
      if (first === undefined) return
      const [key, waiting] = first
      const piece = waiting.shift()!
      this.#waits -= 1
      this.#waiting.delete(key)
      if (waiting.length > 0) this.#waiting.set(key, waiting) // behind all others
      if (performance.now() - piece.since > STALE_MS) piece.refuse()
      else {
        this.#underWay += 1
        piece.start()
      }
    }
  }
}
