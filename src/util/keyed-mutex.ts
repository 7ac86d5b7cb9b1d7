/** Most pieces of work on one key, the running one included. */
const MAX_WAITING = 8

/** Runs work on one key one after the other: of two sockets that register a name at the same instant exactly one wins. */
export class KeyedMutex {
  readonly #queues = new Map<string, { last: Promise<unknown>; waiting: number }>()

  /** Runs `work` after what came before it for this key; undefined when too much waits already. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T | undefined> {
    const queue = this.#queues.get(key) ?? { last: Promise.resolve(), waiting: 0 }
    if (queue.waiting >= MAX_WAITING) return undefined
    this.#queues.set(key, queue)
    queue.waiting += 1
    const mine = queue.last.then(work)
    queue.last = mine.catch(() => undefined)
    try {
      return await mine
    } finally {
      queue.waiting -= 1
      if (queue.waiting === 0) this.#queues.delete(key)
    }
  }
}
