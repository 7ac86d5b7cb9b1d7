// One connection attempt and the connection it may become: a socket with deadlines at both ends of its life.
import { deferred } from './deferred.ts'
import { localError } from './relay-error.ts'
import type { WebSocketConstructor, WebSocketLike } from './web-socket.ts'

export interface AttemptHooks {
  onOpen(): void
  onFrame(frame: unknown): void
  /** A frame that is not JSON text, or a socket error after the opening. */
  onError(error: Error): void
  /** Called once, last. `wasOpen` is false when the attempt failed. */
  onClose(code: number, reason: string, wasOpen: boolean): void
}

export interface AttemptOptions {
  url: string
  openTimeoutMs: number
  closeTimeoutMs: number
}

/** Starts to connect. Throws what the constructor throws, for example on a URL it cannot read. */
export class Attempt {
  readonly socket: WebSocketLike
  readonly #options: AttemptOptions
  readonly #hooks: AttemptHooks
  #phase: 'opening' | 'open' | 'ended' = 'opening'
  #timer: ReturnType<typeof setTimeout>
  #cause = 'the connection was refused or cut'
  readonly #opened = deferred<void>()
  readonly #ended = deferred<void>()

  constructor(construct: WebSocketConstructor, options: AttemptOptions, hooks: AttemptHooks) {
    this.#options = options
    this.#hooks = hooks
    this.socket = new construct(options.url)
    this.#timer = setTimeout(() => this.#openingTooLong(), options.openTimeoutMs)
    this.socket.onopen = () => this.#open()
    this.socket.onmessage = (event: { data: unknown }) => this.#receive(event.data)
    this.socket.onerror = (event: { message?: unknown }) => this.#fail(event.message)
    this.socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code, event.reason)
  }

  /** Resolves when open; rejects with a RelayError NOT_CONNECTED when it ended before that. */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  /** Resolves when the socket is gone and no timer is left. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Asks for the end; cuts the connection if the other side has not answered after `closeTimeoutMs`. */
  end(code: number, reason: string): void {
    if (this.#phase === 'ended') return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#cut(), this.#options.closeTimeoutMs)
    this.socket.close(code, reason)
  }

  #openingTooLong(): void {
    this.#cause = `no answer within ${this.#options.openTimeoutMs} ms`
    this.#cut()
  }

  /** Without a handshake. A browser cannot do that: there the socket is abandoned to the platform. */
  #cut(): void {
    if (this.socket.terminate) this.socket.terminate()
    else this.socket.close()
    this.#end(1006, '')
  }

  #open(): void {
    if (this.#phase !== 'opening') return
    clearTimeout(this.#timer)
    this.#phase = 'open'
    this.#opened.resolve()
    this.#hooks.onOpen()
  }

  #receive(data: unknown): void {
    if (this.#phase !== 'open') return
    let frame: unknown
    try {
      if (typeof data !== 'string') throw new TypeError('it is binary')
      frame = JSON.parse(data)
    } catch (cause) {
      this.#hooks.onError(new Error('Received a frame that is not JSON text', { cause }))
      return
    }
    this.#hooks.onFrame(frame)
  }

  #fail(message: unknown): void {
    const text = typeof message === 'string' && message !== '' ? message : this.#cause
    if (this.#phase === 'opening') this.#cause = text
    if (this.#phase === 'open') this.#hooks.onError(new Error(`The connection failed: ${text}`))
  }

  #end(code: number, reason: string): void {
    if (this.#phase === 'ended') return
    const wasOpen = this.#phase === 'open'
    this.#phase = 'ended'
    clearTimeout(this.#timer)
    if (!wasOpen)
      this.#opened.reject(localError('NOT_CONNECTED', `cannot connect to ${this.#options.url}: ${this.#cause}`))
    this.#ended.resolve()
    this.#hooks.onClose(code, reason, wasOpen)
  }
}
