/** Most that may wait for one turn. */
const MAX_WAITING = 8

/** Work on one name, one after the other: of two sockets that claim it at the same instant exactly one wins. */
export class Turns {
  readonly #turns = new Map<string, { last: Promise<unknown>; waiting: number }>()

  /** Runs `work` after what came before it for this name; undefined when too many wait already. */
  async take<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const turn = this.#turns.get(name) ?? { last: Promise.resolve(), waiting: 0 }
    if (turn.waiting >= MAX_WAITING) return undefined
    this.#turns.set(name, turn)
    turn.waiting += 1
    const mine = turn.last.then(work)
    turn.last = mine.catch(() => undefined)
    try {
      return await mine
    } finally {
      turn.waiting -= 1
      if (turn.waiting === 0) this.#turns.delete(name)
    }
  }
}
