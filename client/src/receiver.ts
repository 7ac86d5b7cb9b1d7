// Hands received messages to the application, one after the other, and acknowledges each once its handler has resolved.

/** Wait before a handler that rejected is called again, doubled from failure to failure, in ms. */
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
/** Messages that are remembered so that a further copy of them is not handled again. */
const MAX_REMEMBERED = 4_096

export interface Arrival<M> {
  /** The place in the mailbox, which an acknowledgement names; undefined from a server that wants none. */
  readonly seq: number | undefined
  /** The same for every copy of one message; undefined when copies cannot be told from new messages. */
  readonly name: string | undefined
  /** Never rejects: a body that cannot be opened makes a message that says so. */
  readonly message: Promise<M>
}

export interface ReceiverHooks<M> {
  /** Rejects: the same message is handled again later. */
  handle(message: M): void | Promise<void>
  acknowledge(seq: number): void
  /** A handler rejected; it will be called again. */
  onError(error: Error): void
}

/**
 * Messages in the order in which they came. A message whose connection is lost before it was acknowledged comes again
 * on the next one, so what has not begun is dropped with its connection; a copy of a message that was handled is only
 * acknowledged.
 *
 *     idle --arrived()--> handling --handler resolved, acknowledged--> next message, or idle
 *                         handling --handler rejected--> waiting --time passed--> handling (the same message)
 *                                                        waiting --dropped()--> next message, or idle
 */
export class Receiver<M> {
  readonly #hooks: ReceiverHooks<M>
  #waiting: Arrival<M>[] = []
  #isRunning = false
  /** Grows with each lost connection: an acknowledgement must not go to another one. */
  #connection = 0
  #endPause: (() => void) | undefined
  /** Oldest first. */
  readonly #handled = new Set<string>()
  #idle: Promise<void> = Promise.resolve()

  constructor(hooks: ReceiverHooks<M>) {
    this.#hooks = hooks
  }

  arrived(arrival: Arrival<M>): void {
    this.#waiting.push(arrival)
    if (!this.#isRunning) this.#idle = this.#run()
  }

  /** The connection is gone, and what was not acknowledged on it will come again if the server wants it acknowledged. */
  dropped(): void {
    this.#connection += 1
    this.#waiting = this.#waiting.filter(({ seq }) => seq === undefined)
    this.#endPause?.()
  }

  /** Resolves when every message that came was handled or dropped. */
  idle(): Promise<void> {
    return this.#idle
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (;;) {
      const arrival = this.#waiting.shift()
      if (!arrival) break
      const connection = this.#connection
      const { seq, name } = arrival
      const isDone = (name !== undefined && this.#handled.has(name)) || (await this.#handle(arrival, connection))
      if (!isDone) continue
      if (name !== undefined) this.#remember(name)
      if (seq !== undefined && connection === this.#connection) this.#hooks.acknowledge(seq)
    }
    this.#isRunning = false
  }

  /** Whether the handler has resolved; it is called until it does, or until the connection is lost. */
  async #handle({ message, seq }: Arrival<M>, connection: number): Promise<boolean> {
    const opened = await message
    const isLost = () => seq !== undefined && connection !== this.#connection
    for (let delay = FIRST_RETRY_MS; !isLost(); delay = Math.min(2 * delay, LAST_RETRY_MS)) {
      try {
        await this.#hooks.handle(opened)
        return true
      } catch (cause) {
        this.#hooks.onError(cause as Error)
        if (seq === undefined) return true // the server has counted it as received already
      }
      if (!isLost()) await this.#pause(delay)
    }
    return false
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #remember(name: string): void {
    this.#handled.delete(name)
    this.#handled.add(name)
    if (this.#handled.size > MAX_REMEMBERED) this.#handled.delete(this.#handled.values().next().value!)
  }
}
