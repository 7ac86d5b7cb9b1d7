import { setTimeout as delay } from 'node:timers/promises'

/** Why an item was not written. `busy`: too much is waiting already. `unavailable`: the database did not take it in time. */
export type GroupFailure = 'busy' | 'unavailable'

export interface GroupLimits {
  /** Most items in one group. */
  readonly groupItems: number
  /** A group takes no further item once it holds this many bytes. */
  readonly groupBytes: number
  /** Most items that may wait; one more is refused as busy. */
  readonly waitingItems: number
  /** Most bytes that may wait. */
  readonly waitingBytes: number
  /** Longest an item waits for its group to begin, in ms; undefined: as long as it takes. */
  readonly deadlineMs: number | undefined
  /** Pause after a group, in ms, so that more items share the next one; none when enough wait to fill it. */
  readonly pauseMs?: number
}

/** Hears of every group that was written, well or not. Durations in seconds. */
export interface GroupObserver {
  group(items: number, seconds: number): void
  /** An item of it was handed over so long ago. */
  item(seconds: number): void
}

interface Waiting<T, R> {
  readonly item: T
  readonly since: number
  readonly done: (result: R | GroupFailure) => void
}

/**
 * Writes items in groups, one group at a time, in the order they came: idle, an item is a group of its own and waits for
 * nothing; busy, the next group is whatever came in during the last commit. Every item is answered exactly once.
 */
export class GroupCommit<T extends { readonly bytes: number }, R> {
  readonly #write: (group: readonly T[]) => Promise<readonly (R | GroupFailure)[]>
  readonly #limits: GroupLimits
  readonly #observer: GroupObserver | undefined
  #waiting: Waiting<T, R>[] = []
  #waitingBytes = 0
  #written = 0
  #busy = false
  #scheduled = false
  #overdue: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []

  constructor(
    write: (group: readonly T[]) => Promise<readonly (R | GroupFailure)[]>,
    limits: GroupLimits,
    observer?: GroupObserver
  ) {
    this.#write = write
    this.#limits = limits
    this.#observer = observer
  }

  /** Items that wait for a group; those being written do not count. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Items that ever went into a group. */
  get written(): number {
    return this.#written
  }

  /** Hands an item over; `done` is called once, after its commit or when it was given up, never before this returns. */
  add(item: T, done: (result: R | GroupFailure) => void): void {
    const full =
      this.#waiting.length >= this.#limits.waitingItems || this.#waitingBytes + item.bytes > this.#limits.waitingBytes
    if (full) {
      setImmediate(done, 'busy')
      return
    }
    this.#waiting.push({ item, done, since: performance.now() })
    this.#waitingBytes += item.bytes
    if (this.#busy) this.#watchOverdue()
    else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => void this.#flush()) // after this turn's other frames, so that they share the commit
    }
  }

  /** Resolves when nothing waits and nothing is being written. */
  drained(): Promise<void> {
    if (!this.#busy && this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  async #flush(): Promise<void> {
    this.#scheduled = false
    this.#busy = true
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      const began = performance.now()
      this.#written += group.length
      const results = await this.#write(group.map((waiting) => waiting.item)).catch(() => undefined)
      if (this.#observer !== undefined) observe(this.#observer, group, began)
      for (const [index, { done }] of group.entries()) done(results?.[index] ?? 'unavailable')
      const { pauseMs, groupItems } = this.#limits
      if (pauseMs !== undefined && this.#waiting.length < groupItems) await delay(pauseMs)
    }
    this.#busy = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  #takeGroup(): Waiting<T, R>[] {
    let count = 0
    let bytes = 0
    for (const { item } of this.#waiting) {
      if (count === this.#limits.groupItems || (count > 0 && bytes + item.bytes > this.#limits.groupBytes)) break
      count += 1
      bytes += item.bytes
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  /** A group that hangs must not keep those behind it waiting in silence. */
  #giveUpOverdue(): void {
    this.#overdue = undefined
    const oldest = performance.now() - this.#limits.deadlineMs!
    const overdue = this.#waiting.findIndex((waiting) => waiting.since > oldest)
    const given = this.#waiting.splice(0, overdue === -1 ? this.#waiting.length : overdue)
    for (const { item, done } of given) {
      this.#waitingBytes -= item.bytes
      done('unavailable')
    }
    if (this.#waiting.length > 0) this.#watchOverdue()
  }

  #watchOverdue(): void {
    if (this.#limits.deadlineMs === undefined) return
    this.#overdue ??= setTimeout(() => this.#giveUpOverdue(), this.#limits.deadlineMs / 4)
  }
}

/** One look at the clock for all of them. */
function observe(observer: GroupObserver, group: readonly { readonly since: number }[], began: number): void {
  const now = performance.now()
  observer.group(group.length, (now - began) / 1_000)
  for (const { since } of group) observer.item((now - since) / 1_000)
}
