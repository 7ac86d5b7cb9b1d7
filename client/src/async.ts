// Asynchronous building blocks of both clients; none of them knows a protocol.
import { localError, type RelayError } from './frame.ts'

export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(cause: Error): void
}

/** A promise with the functions that settle it: Promise.withResolvers, which Node 20 does not have. */
export function deferred<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'>
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, ...settle! }
}

/**
 * A queue for each key. Tasks of one key prepare at the same time but act one after the other, in the order of the
 * calls. Keys do not wait for each other, and a task that fails does not stop those behind it.
 */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>()

  /** Calls `act` with what was prepared, once every earlier task of this key has acted or failed. */
  run<P, T>(key: string, prepared: Promise<P>, act: (value: P) => T | Promise<T>): Promise<T> {
    prepared.catch(() => {}) // it may fail before its task is next; the task reports it then
    const before = this.#tails.get(key) ?? Promise.resolve()
    const done = before.then(() => prepared).then(act)
    const tail = done.then(
      () => {},
      () => {}
    )
    this.#tails.set(key, tail)
    tail.then(() => this.#tails.get(key) === tail && this.#tails.delete(key))
    return done
  }

  /** Resolves when no task is left for any key. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}

/**
 * Holds requests back until a connection is registered.
 *
 *     refusing --wait()--> waiting --open()--> open
 *     open --wait()--> waiting        any state --refuse()--> refusing
 */
export class ConnectionGate {
  #state: 'refusing' | 'waiting' | 'open' = 'refusing'
  #refusal = localError('NOT_CONNECTED', 'call connect() first')
  readonly #waiting = new Set<Deferred<void>>()

  /** The connection is registered: callers that wait may go on, and later ones need not wait. */
  open(): void {
    this.#state = 'open'
    for (const waiter of this.#waiting) waiter.resolve()
  }

  /** The connection is expected to come (back): callers wait. */
  wait(): void {
    this.#state = 'waiting'
  }

  /** No connection will come: callers are refused with this reason, those that wait already included. */
  refuse(reason: RelayError): void {
    this.#state = 'refusing'
    this.#refusal = reason
    for (const waiter of this.#waiting) waiter.reject(reason)
  }

  /** Resolves when the gate is open. Rejects with NOT_CONNECTED after `ms`, or with the reason of `refuse`. */
  async pass(ms: number): Promise<void> {
    if (this.#state === 'open') return
    if (this.#state === 'refusing') throw this.#refusal
    const waiter = deferred<void>()
    const timer = setTimeout(() => waiter.reject(localError('NOT_CONNECTED', `no connection within ${ms} ms`)), ms)
    this.#waiting.add(waiter)
    try {
      await waiter.promise
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(waiter)
    }
  }
}

interface CachedValue<T> {
  readonly value: Promise<T>
  readonly expiresAt: number
}

/** A bounded cache of fetched values. Values that are being fetched are shared; a fetch that fails is forgotten. */
export class FetchCache<T> {
  readonly #lifetimeMs: number
  readonly #maximum: number
  readonly #entries = new Map<string, CachedValue<T>>()

  constructor(lifetimeMs: number, maximum: number) {
    this.#lifetimeMs = lifetimeMs
    this.#maximum = maximum
  }

  /** The cached value, the one that is being fetched, or a new fetch. */
  get(key: string, fetch: () => Promise<T>): Promise<T> {
    const known = this.#entries.get(key)
    if (known && known.expiresAt > Date.now()) return known.value
    const entry = { value: fetch(), expiresAt: Date.now() + this.#lifetimeMs }
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    entry.value.catch(() => this.#entries.get(key) === entry && this.#entries.delete(key))
    if (this.#entries.size > this.#maximum) this.#entries.delete(this.#entries.keys().next().value!)
    return entry.value
  }

  forget(key: string): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}
