/** An answer to a quiet socket is late after this time, in ms, and after so many times the least that one took lately. */
const LATE_MS = 12
const LATE_TIMES = 4
/** "Lately": in the last five to ten minutes, in ms: a flood must not pass for how things are. */
const LATELY_MS = 300_000
/** What noisy sockets may always ask for: a twentieth of a core, in microseconds a second. */
const LEAST = 50_000
/** How often the rate changes at most, in ms, and by how much. */
const STEP_MS = 50
const DECREASE = 0.5
const INCREASE = 1.1
/** Above ten cores it is no limit. */
const NO_LIMIT = 10_000_000
/** How much of a second is served at once. */
const AT_ONCE_SECONDS = 0.05

/**
 * What all noisy sockets together may ask for: as much as they like, while quiet ones are answered in time. When these are answered late,
 * it becomes less than what was asked for lately, step by step; then it grows again. So TCP shares a line, too (RFC 5681:
 * additive increase there). It is the wait that counts, not what causes it: this process, PostgreSQL, or what else runs on the machine.
 *
 * Times are of a monotonic clock, in ms.
 */
export class NoisyBudget {
  /** Microseconds a second; infinite: no limit. */
  #rate = Number.POSITIVE_INFINITY
  #level = 0
  #filledAt = 0
  #stepAt = 0
  /** Was an answer late since the last step? */
  #isLate = false
  /** Asked for since the last step. */
  #asked = 0
  /** The least that an answer took, lately and before. */
  #least = Number.POSITIVE_INFINITY
  #leastBefore = Number.POSITIVE_INFINITY
  #leastSince = 0

  /** In cores; ten: no limit. */
  cores(now: number): number {
    this.#fill(now)
    return Math.min(this.#rate, NO_LIMIT) / 1_000_000
  }

  spend(cost: number, now: number): void {
    this.#fill(now)
    this.#asked += cost
    this.#level -= cost
  }

  /** How long until something is left of it, in ms. */
  waitMs(now: number): number {
    if (this.#rate === Number.POSITIVE_INFINITY) return 0
    this.#fill(now)
    return this.#level > 0 ? 0 : ((1 - this.#level) / this.#rate) * 1_000
  }

  /** A frame of a socket that has been quiet for seconds was answered so long after it came. */
  answered(ms: number, now: number): void {
    if (now - this.#leastSince > LATELY_MS) {
      this.#leastBefore = this.#least
      this.#least = ms
      this.#leastSince = now
    } else if (ms < this.#least) this.#least = ms
    if (ms > Math.max(LATE_MS, LATE_TIMES * Math.min(this.#least, this.#leastBefore))) {
      this.#isLate = true
      this.#fill(now)
    }
  }

  #fill(now: number): void {
    const sinceStep = now - this.#stepAt
    if (sinceStep >= STEP_MS) this.#step(now, sinceStep)
    if (this.#rate === Number.POSITIVE_INFINITY || now <= this.#filledAt) return
    const atOnce = this.#rate * AT_ONCE_SECONDS
    this.#level = Math.min(atOnce, this.#level + ((now - this.#filledAt) * this.#rate) / 1_000)
    this.#filledAt = now
  }

  #step(now: number, elapsed: number): void {
    if (this.#isLate) {
      if (this.#rate === Number.POSITIVE_INFINITY) {
        this.#level = 0
        this.#filledAt = now
      }
      const asked = (this.#asked / elapsed) * 1_000
      this.#rate = Math.max(LEAST, Math.min(this.#rate, asked) * DECREASE)
    } else {
      this.#rate *= INCREASE ** Math.floor(elapsed / STEP_MS)
      if (this.#rate > NO_LIMIT) this.#rate = Number.POSITIVE_INFINITY
    }
    this.#isLate = false
    this.#asked = 0
    this.#stepAt = now
  }
}
