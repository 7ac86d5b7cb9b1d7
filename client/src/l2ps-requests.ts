// Finds the request that an answer belongs to: in L2PS both carry a `requestId`.
import { type Deferred, deferred } from './async.ts'
import { toHex } from './base64.ts'
import { type Frame, localError, RelayError } from './frame.ts'

/** What is to be sent. A signed frame brings the timestamp that its proof covers. */
export interface Outgoing {
  payload: Record<string, unknown>
  timestamp?: number
}

export interface L2psRequest<T> {
  type: string
  /** Called for each connection the request is sent on. While one request is being signed, others may overtake it. */
  make(): Outgoing | Promise<Outgoing>
  /** The types of frame that answer it; every other type except `error` is an INVALID_ANSWER. */
  readonly answers: readonly string[]
  /** Turns the answer into the result, while its frame is being received. What it throws rejects the request. */
  read(answer: Frame): T
  /** Sent on the present connection, registered or not, and fails with it. Default: waits, and is sent again. */
  isBoundToConnection?: boolean
}

/** A frame that is never answered. */
export const unanswered = (type: string, payload: object) => ({ type, payload, timestamp: Date.now() })

interface Pending {
  readonly request: L2psRequest<unknown>
  readonly done: Deferred<unknown>
  readonly timer: ReturnType<typeof setTimeout>
}

/**
 * Every request is answered once, by a frame with its `requestId`, in any order. A request whose connection is lost is
 * sent again on the next connection, before requests made since, in the order of the calls. That is safe because the
 * server acts once on a repeated `send`, and the other requests change nothing.
 */
export class L2psRequests {
  readonly #timeoutMs: number
  readonly #send: (frame: object) => void
  /** By requestId, in the order of the calls. */
  readonly #pending = new Map<string, Pending>()
  #isOpen = false
  /** Set while no connection will come: every request is rejected with it. */
  #refusal: RelayError | undefined = localError('NOT_CONNECTED', 'call connect() first')
  /** Grows with each connection, so that a frame made for one connection is not sent on another. */
  #connection = 0

  constructor(timeoutMs: number, send: (frame: object) => void) {
    this.#timeoutMs = timeoutMs
    this.#send = send
  }

  /** Rejects with a RelayError: the refusal, TIMEOUT (counted from the call), NOT_CONNECTED, CLOSED, INVALID_ANSWER. */
  async ask<T>(request: L2psRequest<T>): Promise<T> {
    if (this.#refusal) throw this.#refusal
    const done = deferred<unknown>()
    const requestId = freshRequestId()
    const timer = setTimeout(() => this.#settle(requestId)?.done.reject(this.#timeoutError(request)), this.#timeoutMs)
    this.#pending.set(requestId, { request, done, timer })
    if (this.#isOpen || request.isBoundToConnection) this.#transmit(requestId, request)
    return (await done.promise) as T
  }

  /** The connection is registered: waiting requests are sent, oldest first. */
  open(): void {
    this.#isOpen = true
    for (const [requestId, { request }] of [...this.#pending]) this.#transmit(requestId, request)
  }

  /** A connection is expected to come (back): requests wait. `reason`: set when the last connection was lost. */
  wait(reason?: RelayError): void {
    this.#isOpen = false
    this.#refusal = undefined
    this.#connection += 1
    if (reason) this.#reject(reason, ({ request }) => request.isBoundToConnection === true)
  }

  /** No connection will come: new and pending requests are rejected. */
  refuse(reason: RelayError): void {
    this.#isOpen = false
    this.#refusal = reason
    this.#connection += 1
    this.#reject(reason, () => true)
  }

  /** Takes an answer; false when no request waits for it. */
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
  async #transmit(requestId: string, { type, make }: L2psRequest<unknown>): Promise<void> {
    const connection = this.#connection
    try {
      const made = make()
      const { payload, timestamp = Date.now() } = made instanceof Promise ? await made : made
      if (connection !== this.#connection || !this.#pending.has(requestId)) return
      this.#send({ type, payload, timestamp, requestId })
    } catch (cause) {
      // The socket has begun to close: the close event follows, and the request is sent again on the next connection.
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

  #timeoutError({ type, isBoundToConnection }: L2psRequest<unknown>): RelayError {
    const isSent = this.#isOpen || isBoundToConnection
    return isSent
      ? localError('TIMEOUT', `no answer to ${type} within ${this.#timeoutMs} ms`)
      : localError('NOT_CONNECTED', `no connection within ${this.#timeoutMs} ms`)
  }
}

/** The error that an L2PS `error` frame reports. */
export function readError({ code, message }: Frame['payload']): RelayError {
  return new RelayError(String(code ?? 'UNKNOWN'), String(message ?? 'no details'))
}

/** As the official SDK makes them: `req_<ms>_<10 hex digits>`. */
function freshRequestId(): string {
  return `req_${Date.now()}_${toHex(crypto.getRandomValues(new Uint8Array(5)))}`
}
