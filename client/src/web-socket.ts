// One WebSocket connection: which WebSocket is used, and its life from the attempt to connect until it is gone.
import { deferred } from './async.ts'
import { localError } from './frame.ts'

/** The part of WebSocket that we use: browsers, Node 22 and the `ws` package all have it. */
export interface WebSocketLike {
  readonly readyState: number
  readonly bufferedAmount: number
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(data: string): void
  close(code?: number, reason?: string): void
  /** `ws` only: cut the connection without a handshake. */
  terminate?(): void
  /** `ws` only: the server answered the handshake with an HTTP status. Other platforms do not show it. */
  on?(event: 'unexpected-response', listener: (request: unknown, response: HttpAnswer) => void): unknown
}

/** The part of node's `IncomingMessage` that we use. */
export interface HttpAnswer {
  readonly statusCode?: number | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export type WebSocketConstructor = new (url: string) => WebSocketLike

/**
 * The platform's own WebSocket, else the `ws` package (Node 20 has none). Browsers never reach the import, and the
 * package name is not a literal, so a bundler neither follows it nor needs `ws` to be installed.
 */
export async function findWebSocket(): Promise<WebSocketConstructor> {
  if (typeof globalThis.WebSocket === 'function') return globalThis.WebSocket
  const nodePackage: string = 'ws'
  const found: { WebSocket: WebSocketConstructor } = await import(
    /* webpackIgnore: true */ /* @vite-ignore */ nodePackage
  )
  return found.WebSocket
}

export interface AttemptHooks {
  onOpen(): void
  onFrame(frame: unknown, text: string): void
  /** A frame that is not JSON text, or a socket error after the opening. */
  onError(error: Error): void
  /** The server takes no connection now, and says when to come back. */
  onRefused(retryAfterMs: number): void
  /** Called once, last. `wasOpen` is false when the attempt failed. */
  onClose(code: number, reason: string, wasOpen: boolean): void
}

export interface AttemptOptions {
  url: string
  openTimeoutMs: number
  closeTimeoutMs: number
}

/** A server that asks for more is not believed. */
const LONGEST_RETRY_AFTER_MS = 300_000

/**
 * One connection attempt and, when it succeeds, the connection. The constructor starts to connect, and throws what the
 * WebSocket constructor throws, for example on a URL it cannot read.
 *
 *     opening --socket opens in time--> open --socket closes, or `end` waited too long--> ended
 *     opening --socket fails, `openTimeoutMs` passes, or `end`--> ended
 */
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
    this.#timer = setTimeout(() => this.#giveUpOpening(), options.openTimeoutMs)
    this.socket.onopen = () => this.#open()
    this.socket.onmessage = (event: { data: unknown }) => this.#receive(event.data)
    this.socket.onerror = (event: { message?: unknown }) => this.#fail(event.message)
    this.socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code, event.reason)
    this.socket.on?.('unexpected-response', (_request, answer) => this.#refused(answer))
  }

  /** Resolves when open; rejects with a RelayError NOT_CONNECTED when it ended before that. */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  /** Resolves when the socket is gone and no timer is left. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** Starts the close handshake; cuts the connection if the other side has not answered after `closeTimeoutMs`. */
  end(code: number, reason: string): void {
    if (this.#phase === 'ended') return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#cut(), this.#options.closeTimeoutMs)
    this.socket.close(code, reason)
  }

  #refused({ statusCode, headers }: HttpAnswer): void {
    this.#cause = `the server answered with HTTP ${statusCode}`
    const seconds = Number(headers['retry-after'])
    if (seconds > 0) this.#hooks.onRefused(Math.min(seconds * 1_000, LONGEST_RETRY_AFTER_MS))
    this.#cut()
  }

  #giveUpOpening(): void {
    this.#cause = `no answer within ${this.#options.openTimeoutMs} ms`
    this.#cut()
  }

  /** Ends without a handshake. A browser cannot do that: there the platform closes the socket some time later. */
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
    this.#hooks.onFrame(frame, data)
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
