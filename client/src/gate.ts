// Holds requests back while there is no registered connection.
import { type Deferred, deferred } from './deferred.ts'
import { localError, type RelayError } from './relay-error.ts'

export class Gate {
  #isOpen = false
  /** Set while waiting is pointless; everybody who comes is told so. */
  #closedFor: RelayError | undefined = localError('NOT_CONNECTED', 'call connect() first')
  readonly #waiting = new Set<Deferred<void>>()

  open(): void {
    this.#isOpen = true
    this.#closedFor = undefined
    for (const waiter of this.#waiting) waiter.resolve()
  }

  /** From now on callers wait: the connection is expected to come (back). */
  shut(): void {
    this.#isOpen = false
    this.#closedFor = undefined
  }

  /** From now on callers are refused, and those who wait are too. */
  fail(reason: RelayError): void {
    this.#isOpen = false
    this.#closedFor = reason
    for (const waiter of this.#waiting) waiter.reject(reason)
  }

  /** Resolves when the gate is open; rejects with NOT_CONNECTED after `ms`, or with the reason of `fail`. */
  async pass(ms: number): Promise<void> {
    if (this.#isOpen) return
    if (this.#closedFor) throw this.#closedFor
    const waiter = deferred<void>()
    const late = () => waiter.reject(localError('NOT_CONNECTED', `no connection within ${ms} ms`))
    const timer = setTimeout(late, ms)
    this.#waiting.add(waiter)
    try {
      await waiter.promise
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(waiter)
    }
  }
}
