import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'

/** Results of a batch that are handed on in one turn of the event loop: others are heard in between. */
const TOLD_OF_A_TURN = 64

/** Why an item was not written. `busy`: too much is waiting already. `unavailable`: the database did not take it in time. */
export type BatchFailure = 'busy' | 'unavailable'

export interface BatchLimits {
  /** Most items in one batch. */
  readonly batchItems: number
  /** A batch takes no further item once it holds this many bytes. */
  readonly batchBytes: number
  /** Most items that may wait; one more is refused as busy. */
  readonly waitingItems: number
  /** Most bytes that may wait. */
  readonly waitingBytes: number
  /** Longest an item waits for its batch to begin, in ms; undefined: as long as it takes. */
  readonly deadlineMs: number | undefined
  /** Pause after a batch, in ms, so that more items share the next one; none when enough wait to fill it. */
  readonly pauseMs?: number
}

/** Hears of every batch that was written, well or not. Durations in seconds. */
export interface BatchObserver {
  batch(items: number, seconds: number): void
  /** An item of it was handed over so long ago. */
  item(seconds: number): void
}

export interface BatcherOptions<T, R> {
  /** Writes a batch: a result for each item, in their order. */
  readonly write: (batch: readonly T[]) => Promise<readonly (R | BatchFailure)[]>
  readonly limits: BatchLimits
  /** Hears of a `done` that threw: a defect, which must not keep the others from their results. */
  readonly failed: (error: unknown) => void
  readonly observer?: BatchObserver | undefined
}

interface Waiting<T, R> {
  readonly item: T
  readonly since: number
  readonly done: (result: R | BatchFailure) => void
}

/**
 * Writes items in batches, one batch at a time, in the order they came.
 *
 *     idle ──add()──► scheduled ──end of this turn──► writing ──nothing waits──► idle
 *                                                       └──more waits──► writing
 *
 * Idle, an item is a batch of its own and waits for nothing; busy, the next batch is whatever came during the last write.
 * Every item is answered exactly once, and never before `add` returns.
 */
export class Batcher<T extends { readonly bytes: number }, R> {
  readonly #options: BatcherOptions<T, R>
  #waiting: Waiting<T, R>[] = []
  #waitingBytes = 0
  #written = 0
  /** Items of the batch that is being written. */
  #writing = 0
  #state: 'idle' | 'scheduled' | 'writing' = 'idle'
  #overdue: NodeJS.Timeout | undefined
  #whenIdle: (() => void)[] = []

  constructor(options: BatcherOptions<T, R>) {
    this.#options = options
  }

  /** Items that wait for a batch; those being written do not count. */
  get waiting(): number {
    return this.#waiting.length
  }

  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** Items that wait, and those that are being written. */
  get underWay(): number {
    return this.#waiting.length + this.#writing
  }

  /** Items that ever went into a batch. */
  get written(): number {
    return this.#written
  }

  /** Hands an item over; `done` is called once, after its batch was written or when it was given up. */
  add(item: T, done: (result: R | BatchFailure) => void): void {
    const { waitingItems, waitingBytes } = this.#options.limits
    if (this.#waiting.length >= waitingItems || this.#waitingBytes + item.bytes > waitingBytes) {
      setImmediate(() => this.#tell(done, 'busy'))
      return
    }
    this.#waiting.push({ item, done, since: performance.now() })
    this.#waitingBytes += item.bytes
    if (this.#state === 'writing') this.#watchOverdue()
    else if (this.#state === 'idle') {
      this.#state = 'scheduled'
      setImmediate(() => void this.#flush()) // after this turn's other frames, so that they share the batch
    }
  }

  /** Resolves when nothing waits and nothing is being written. */
  drained(): Promise<void> {
    if (this.#state === 'idle') return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  async #flush(): Promise<void> {
    this.#state = 'writing'
    const { write, limits, observer } = this.#options
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch()
      this.#watchOverdue()
      const began = performance.now()
      this.#written += batch.length
      this.#writing = batch.length
      const results = await write(batch.map((waiting) => waiting.item)).catch(() => undefined)
      this.#writing = 0
      if (observer !== undefined) observe(observer, batch, began)
      for (const [index, { done }] of batch.entries()) {
        this.#tell(done, results?.[index] ?? 'unavailable')
        if (index % TOLD_OF_A_TURN === TOLD_OF_A_TURN - 1) await nextTurn()
      }
      if (limits.pauseMs !== undefined && this.#waiting.length < limits.batchItems) await delay(limits.pauseMs)
    }
    this.#state = 'idle'
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #tell(done: (result: R | BatchFailure) => void, result: R | BatchFailure): void {
    try {
      done(result)
    } catch (error) {
      this.#options.failed(error)
    }
  }

  #takeBatch(): Waiting<T, R>[] {
    const { batchItems, batchBytes } = this.#options.limits
    let count = 0
    let bytes = 0
    for (const { item } of this.#waiting) {
      if (count === batchItems || (count > 0 && bytes + item.bytes > batchBytes)) break
      count += 1
      bytes += item.bytes
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  /** A batch that hangs must not keep those behind it waiting in silence. */
  #giveUpOverdue(deadlineMs: number): void {
    const oldest = performance.now() - deadlineMs
    const young = this.#waiting.findIndex((waiting) => waiting.since > oldest)
    const overdue = this.#waiting.splice(0, young === -1 ? this.#waiting.length : young)
    for (const { item, done } of overdue) {
      this.#waitingBytes -= item.bytes
      this.#tell(done, 'unavailable')
    }
  }

  /** Until nothing waits: the timer runs out when the one that waits longest does. */
  #watchOverdue(): void {
    const { deadlineMs } = this.#options.limits
    const [oldest] = this.#waiting
    if (deadlineMs === undefined || oldest === undefined) return
    this.#overdue ??= setTimeout(
      () => {
        this.#overdue = undefined
        this.#giveUpOverdue(deadlineMs)
        this.#watchOverdue()
      },
      oldest.since + deadlineMs - performance.now()
    )
  }
}

/** One look at the clock for all of them. */
function observe(observer: BatchObserver, batch: readonly { readonly since: number }[], began: number): void {
  const now = performance.now()
  observer.batch(batch.length, (now - began) / 1_000)
  for (const { since } of batch) observer.item((now - since) / 1_000)
}
