// A WebSocket connection that reconnects by itself and carries JSON frames.
import { createEmitter, type Events } from './events.ts'
import { localError } from './frame.ts'
import { Attempt, findWebSocket, type WebSocketConstructor } from './web-socket.ts'

const OPEN = 1

/**
 * How long to wait before connecting again: doubled from failure to failure, up to a maximum, with jitter. At least as long
 * as `Retry-After` of the server says, where the platform shows it: `ws` does, browsers do not.
 */
export interface ReconnectPolicy {
  /** Default 1 000. */
  firstDelayMs: number
  /** Default 30 000. */
  maximumDelayMs: number
  /** Share of each delay that is random, 0 to 1, so that clients of a restarted server spread out. Default 0.5. */
  jitter: number
  /** A connection that lasted this long starts the delays over. Default 10 000. */
  stableAfterMs: number
}

export const DEFAULT_RECONNECT: ReconnectPolicy = {
  firstDelayMs: 1_000,
  maximumDelayMs: 30_000,
  jitter: 0.5,
  stableAfterMs: 10_000
}

export interface TransportOptions {
  url: string
  /** Default: the platform's WebSocket, in Node 20 the one of `ws`. */
  webSocket?: WebSocketConstructor | undefined
  /** Changes to {@link DEFAULT_RECONNECT}; false: a lost connection stays lost. */
  reconnect?: Partial<ReconnectPolicy> | false | undefined
  /** How long a connection attempt may take. Default 10 000. */
  openTimeoutMs?: number | undefined
  /** How long `close` waits for the server's part of the close handshake. Default 1 000. */
  closeTimeoutMs?: number | undefined
}

export interface TransportEvents {
  open: undefined
  /** The text of the `frame` that follows. */
  text: string
  /** One parsed JSON value; its shape is not checked. */
  frame: unknown
  /** A frame that is not JSON text, or a socket error. The end of the connection is a `close` event. */
  error: Error
  /** An open connection ended. Code 1006: without a close frame. */
  close: { code: number; reason: string; willReconnect: boolean }
  /** The next attempt, counted from 1 since the last stable connection, starts in `delayMs`. */
  reconnecting: { attempt: number; delayMs: number }
}

export interface Transport {
  /** `connecting` also while it waits to connect again. */
  readonly state: 'connecting' | 'open' | 'closed'
  readonly events: Events<TransportEvents>
  /** Bytes handed to the socket and not yet to the network. */
  readonly bufferedBytes: number
  /**
   * Resolves when the connection is open. Rejects with a RelayError when this first attempt fails, which is not
   * repeated; reconnection begins once a connection has been open.
   */
  connect(): Promise<void>
  /** Hands one frame to the socket. Throws a RelayError NOT_CONNECTED unless the state is `open`. */
  send(frame: unknown): void
  /** Ends this connection; reconnection follows as after any other loss. */
  drop(code: number, reason: string): void
  /** Ends the connection without reconnection, at the latest after `closeTimeoutMs`; no timer or socket remains. */
  close(code?: number, reason?: string): Promise<void>
}

/** The wait before the given attempt (counted from 1). `random` is in 0..1. */
export function reconnectDelay(attempt: number, policy: ReconnectPolicy, random = Math.random()): number {
  const whole = Math.min(policy.maximumDelayMs, policy.firstDelayMs * 2 ** (attempt - 1))
  return Math.round(whole * (1 - policy.jitter * random))
}

export function createTransport(options: TransportOptions): Transport {
  return new ReconnectingTransport(options)
}

class ReconnectingTransport implements Transport {
  readonly events = createEmitter<TransportEvents>()
  readonly #options: TransportOptions
  readonly #policy: ReconnectPolicy | undefined
  #state: Transport['state'] = 'closed'
  #current: Attempt | undefined
  #attempts = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  /** How long the server asked us to stay away, at the last attempt. */
  #retryAfterMs = 0
  /** Grows with each connect and close, so that callbacks of an earlier connection do not act on the present one. */
  #epoch = 0

  constructor(options: TransportOptions) {
    this.#options = options
    this.#policy = options.reconnect === false ? undefined : { ...DEFAULT_RECONNECT, ...options.reconnect }
  }

  get state() {
    return this.#state
  }

  get bufferedBytes() {
    return this.#current?.socket.bufferedAmount ?? 0
  }

  async connect(): Promise<void> {
    if (this.#state !== 'closed') throw new Error(`Already ${this.#state}`)
    this.#state = 'connecting'
    this.#attempts = 0
    this.#epoch += 1
    const epoch = this.#epoch
    try {
      await this.#attempt(epoch)
    } catch (cause) {
      if (epoch === this.#epoch) this.#state = 'closed'
      throw cause
    }
  }

  send(frame: unknown): void {
    const socket = this.#current?.socket
    if (this.#state !== 'open' || socket?.readyState !== OPEN) throw localError('NOT_CONNECTED', 'not connected')
    socket.send(JSON.stringify(frame))
  }

  drop(code: number, reason: string): void {
    this.#current?.end(code, reason)
  }

  async close(code = 1000, reason = ''): Promise<void> {
    this.#epoch += 1
    clearTimeout(this.#timer)
    this.#state = 'closed'
    const ending = this.#current
    ending?.end(code, reason)
    await ending?.ended
  }

  async #attempt(epoch: number): Promise<void> {
    const construct = this.#options.webSocket ?? (await findWebSocket())
    if (epoch !== this.#epoch) throw localError('CLOSED', 'the client was closed')
    const { url, openTimeoutMs = 10_000, closeTimeoutMs = 1_000 } = this.#options
    let openedAt = 0
    const attempt = new Attempt(
      construct,
      { url, openTimeoutMs, closeTimeoutMs },
      {
        onOpen: () => {
          if (epoch !== this.#epoch) return
          openedAt = Date.now()
          this.#state = 'open'
          this.events.emit('open', undefined)
        },
        onFrame: (frame, text) => {
          this.events.emit('text', text)
          this.events.emit('frame', frame)
        },
        onError: (error) => this.events.emit('error', error),
        onClose: (code, reason, wasOpen) => {
          if (this.#current === attempt) this.#current = undefined
          this.#retryAfterMs = attempt.retryAfterMs
          if (wasOpen) this.#lost(epoch, { code, reason }, Date.now() - openedAt)
        }
      }
    )
    this.#current = attempt
    await attempt.opened
  }

  /** An open connection ended after `lastedMs`. */
  #lost(epoch: number, how: { code: number; reason: string }, lastedMs: number): void {
    const willReconnect = epoch === this.#epoch && this.#policy !== undefined
    if (epoch === this.#epoch) this.#state = willReconnect ? 'connecting' : 'closed'
    if (this.#policy && lastedMs >= this.#policy.stableAfterMs) this.#attempts = 0
    this.events.emit('close', { ...how, willReconnect })
    this.#reconnectLater(epoch)
  }

  #reconnectLater(epoch: number): void {
    // A `close` handler may have closed the transport, or connected anew: then this epoch is over.
    if (epoch !== this.#epoch || !this.#policy) return
    this.#attempts += 1
    const delayMs = Math.max(reconnectDelay(this.#attempts, this.#policy), this.#retryAfterMs)
    this.#timer = setTimeout(() => {
      this.#attempt(epoch).catch((cause) => {
        if (epoch !== this.#epoch) return
        this.events.emit('error', cause)
        this.#reconnectLater(epoch)
      })
    }, delayMs)
    this.events.emit('reconnecting', { attempt: this.#attempts, delayMs })
  }
}
