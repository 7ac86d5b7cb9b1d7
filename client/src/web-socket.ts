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
}

/** What `ws` has beyond that: the server answered the handshake with an HTTP status. Other platforms do not show it. */
interface NodeSocket {
  on(event: 'unexpected-response', listener: (request: unknown, answer: HttpAnswer) => void): unknown
}

interface HttpAnswer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | undefined>>
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
  /** Called once, last. `wasOpen` is false when the attempt failed. */
  onClose(code: number, reason: string, wasOpen: boolean): void
}

export interface AttemptOptions {
  url: string
  openTimeoutMs: number
  closeTimeoutMs: number
}

/**
 * One connection attempt and, when it succeeds, the connection. The constructor starts to connect, and throws what the
 * WebSocket constructor throws, for example on a URL it cannot read.
 *
 *     opening --socket opens in time--> open --socket closes, or `end` waited too long--> ended
 *     opening --socket fails, `openTimeoutMs` passes, or `end`--> ended
 */
export class Attempt {
  readonly socket: WebSocketLike
  /** How long the server asked us to stay away. */
  retryAfterMs = 0
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
    const node = this.socket as Partial<NodeSocket>
    node.on?.('unexpected-response', (_request, { statusCode, headers }) => {
      this.#cause = `HTTP ${statusCode}`
      this.retryAfterMs = Math.min(Number(headers['retry-after']) || 0, 300) * 1_000 // more is not believed
      this.#cut()
    })
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
