// Which answer belongs to which request, where both carry a `requestId`.
import { toHex } from './base64.ts'
import { type Deferred, deferred } from './deferred.ts'
import type { Frame } from './frame.ts'
import { localError, RelayError } from './relay-error.ts'

/** What is to be sent; a signed frame brings the timestamp its proof speaks of. */
export interface Outgoing {
  payload: Record<string, unknown>
  timestamp?: number
}

export interface Request<T> {
  type: string
  /** Asked anew for each connection the request is sent on. One that takes time, to sign, may be overtaken by others. */
  make(): Outgoing | Promise<Outgoing>
  /** The types of frame that answer it; any other but `error` is an INVALID_ANSWER. */
  readonly answers: readonly string[]
  /** Turns the answer into the result, at once when its frame arrives. What it throws rejects the request. */
  read(answer: Frame): T
  /** Belongs to the present connection, registered or not, and fails with it. Default: waits, and is sent again. */
  isBoundToConnection?: boolean
}

interface Pending {
  readonly request: Request<unknown>
  readonly done: Deferred<unknown>
  readonly timer: ReturnType<typeof setTimeout>
}

/**
 * Every request is answered once, by a frame with its `requestId`, in any order. One whose connection is lost is sent
 * again on the next: all before requests made since, in the order of the calls. That is safe for what the server does
 * once only, however often it is asked.
 */
export class Requests {
  readonly #timeoutMs: number
  readonly #send: (frame: object) => void
  /** By requestId, in the order of the calls. */
  readonly #pending = new Map<string, Pending>()
  #isOpen = false
  /** Set while waiting is pointless; everybody who comes is told so. */
  #closedFor: RelayError | undefined = localError('NOT_CONNECTED', 'call connect() first')
  /** Grows with each connection, so that what was made for one is not sent on another. */
  #connection = 0

  constructor(timeoutMs: number, send: (frame: object) => void) {
    this.#timeoutMs = timeoutMs
    this.#send = send
  }

  /** Rejects with a RelayError: refused, TIMEOUT (from the call to the answer), NOT_CONNECTED, CLOSED or INVALID_ANSWER. */
  async ask<T>(request: Request<T>): Promise<T> {
    if (this.#closedFor) throw this.#closedFor
    const done = deferred<unknown>()
    const requestId = freshRequestId()
    const timer = setTimeout(() => this.#settle(requestId)?.done.reject(this.#lateness(request)), this.#timeoutMs)
    this.#pending.set(requestId, { request, done, timer })
    if (this.#isOpen || request.isBoundToConnection) this.#say(requestId, request)
    return (await done.promise) as T
  }

  /** The connection is registered: what waits is sent, oldest first. */
  open(): void {
    this.#isOpen = true
    for (const [requestId, { request }] of [...this.#pending]) this.#say(requestId, request)
  }

  /** From now on requests wait for a connection that is to come (back). `reason`: the last one was lost. */
  wait(reason?: RelayError): void {
    this.#isOpen = false
    this.#closedFor = undefined
    this.#connection += 1
    if (reason) this.#reject(reason, ({ request }) => request.isBoundToConnection === true)
  }

  /** From now on requests are refused, and those under way too. */
  fail(reason: RelayError): void {
    this.#isOpen = false
    this.#closedFor = reason
    this.#connection += 1
    this.#reject(reason, () => true)
  }

  /** Takes an answer; false when nobody waits for it. */
  take(requestId: unknown, frame: Frame): boolean {
    const pending = typeof requestId === 'string' ? this.#settle(requestId) : undefined
    if (!pending) return false
    try {
      const { type, answers, read } = pending.request
      if (frame.type === 'error') throw readError(frame.payload)
      if (!answers.includes(frame.type)) throw localError('INVALID_ANSWER', `${type} was answered by ${frame.type}`)
      pending.done.resolve(read(frame))
    } catch (cause) {
      pending.done.reject(cause as Error)
    }
    return true
  }

  /** Sends a request on the present connection. */
  async #say(requestId: string, { type, make }: Request<unknown>): Promise<void> {
    const connection = this.#connection
    try {
      const made = make()
      const { payload, timestamp = Date.now() } = made instanceof Promise ? await made : made
      if (connection !== this.#connection || !this.#pending.has(requestId)) return
      this.#send({ type, payload, timestamp, requestId })
    } catch (cause) {
      // A socket that has just begun to close is told of soon; the request is sent again after that.
      if (cause instanceof RelayError && cause.errorType === 'NOT_CONNECTED') return
      this.#settle(requestId)?.done.reject(cause as Error)
    }
  }

  #settle(requestId: string): Pending | undefined {
    const pending = this.#pending.get(requestId)
    this.#pending.delete(requestId)
    clearTimeout(pending?.timer)
    return pending
  }

  #reject(reason: RelayError, which: (pending: Pending) => boolean): void {
    for (const [requestId, pending] of [...this.#pending]) {
      if (which(pending)) this.#settle(requestId)?.done.reject(reason)
    }
  }

  #lateness({ type, isBoundToConnection }: Request<unknown>): RelayError {
    const isSent = this.#isOpen || isBoundToConnection
    return isSent
      ? localError('TIMEOUT', `no answer to ${type} within ${this.#timeoutMs} ms`)
      : localError('NOT_CONNECTED', `no connection within ${this.#timeoutMs} ms`)
  }
}

/** An L2PS `error` frame's words. */
export function readError({ code, message }: Frame['payload']): RelayError {
  return new RelayError(String(code ?? 'UNKNOWN'), String(message ?? 'no details'))
}

/** As the official SDK makes them: `req_<ms>_<10 hex digits>`. */
function freshRequestId(): string {
  return `req_${Date.now()}_${toHex(crypto.getRandomValues(new Uint8Array(5)))}`
}
