// The connection of both clients: it registers whenever it opens, and reconnects whenever it is lost.
import { localError, type RelayError } from './frame.ts'
import { createTransport, type Transport, type TransportEvents, type TransportOptions } from './transport.ts'

const CLOSE_REGISTRATION_FAILED = 4_000

export interface RegistrationHooks {
  /** Registers on the newly opened connection. Rejects with a RelayError: refused, TIMEOUT, or connection lost. */
  register(): Promise<void>
  /** Refusals of `register` that another attempt would get again. */
  readonly finalRefusals: readonly string[]
  /** A connection is expected to come (back): requests may wait. `reason`: set when the last connection was lost. */
  onWait(reason?: RelayError): void
  /** No connection will come until `connect` is called again: new and pending requests fail. */
  onFail(reason: RelayError): void
  onRegistered(again: boolean): void
  onFrame(value: unknown, text: string): void
  /** For the application's `error` event; the other hooks report the consequences. */
  onError(error: Error): void
  /** A registered connection ended. */
  onDisconnected(how: TransportEvents['close']): void
  onReconnecting(attempt: TransportEvents['reconnecting']): void
}

export class RegisteredConnection {
  readonly #hooks: RegistrationHooks
  readonly #transport: Transport
  /** Set by the first registration: from then on a new connection registers by itself. */
  #registersItself = false
  #isRegistered = false
  /** Why the last connection ended. Replaced with each loss, so a changed value shows that one happened. */
  #loss: RelayError | undefined
  /** Set from `end` to the next `connect`. */
  #hasEnded = false

  constructor(options: TransportOptions, hooks: RegistrationHooks) {
    this.#hooks = hooks
    this.#transport = createTransport(options)
    const { events } = this.#transport
    let text = ''
    events.on('text', (next) => {
      text = next
    })
    events.on('frame', (frame) => hooks.onFrame(frame, text))
    events.on('error', (error) => hooks.onError(error))
    events.on('open', () => this.#registersItself && this.#registerAgain())
    events.on('close', (how) => this.#lost(how))
    events.on('reconnecting', (attempt) => hooks.onReconnecting(attempt))
  }

  get state(): Transport['state'] {
    return this.#transport.state
  }

  get bufferedBytes(): number {
    return this.#transport.bufferedBytes
  }

  /** Hands one frame to the socket. Throws a RelayError NOT_CONNECTED unless there is one that is open. */
  send(frame: unknown): void {
    this.#transport.send(frame)
  }

  /** Connects and registers. When that fails, the connection has ended as after `end`. */
  async connect(): Promise<void> {
    if (this.state !== 'closed') throw new Error(`Already ${this.state}`)
    this.#registersItself = false
    this.#hasEnded = false
    this.#hooks.onWait()
    try {
      await this.#transport.connect()
      await this.#register()
    } catch (cause) {
      await this.end(cause as RelayError)
      throw cause
    }
    this.#registersItself = true
    this.#registered(false)
  }

  /** Fails pending requests with this reason; resolves when the socket is gone. */
  async end(reason: RelayError): Promise<void> {
    this.#registersItself = false
    this.#hasEnded = true
    this.#loss = reason
    this.#hooks.onFail(reason)
    await this.#transport.close()
  }

  /** Rejects also when the connection was lost before the promise of the registration had settled. */
  async #register(): Promise<void> {
    const loss = this.#loss
    await this.#hooks.register()
    if (this.#loss && this.#loss !== loss) throw this.#loss
  }

  #registered(again: boolean): void {
    this.#isRegistered = true
    this.#hooks.onRegistered(again)
  }

  async #registerAgain(): Promise<void> {
    try {
      await this.#register()
      this.#registered(true)
    } catch (cause) {
      const error = cause as RelayError
      if (error.errorType === 'CLOSED' || error.errorType === 'NOT_CONNECTED') return
      this.#hooks.onError(error)
      // Most often the server has not noticed yet that our last connection is dead.
      if (this.#hooks.finalRefusals.includes(error.errorType)) await this.end(error)
      else this.#transport.drop(CLOSE_REGISTRATION_FAILED, 'registration failed')
    }
  }

  #lost(how: TransportEvents['close']): void {
    const reason = localError('NOT_CONNECTED', `the connection was lost (${how.code})`)
    if (!this.#hasEnded) {
      this.#loss = reason
      if (how.willReconnect && this.#registersItself) this.#hooks.onWait(reason)
      else this.#hooks.onFail(reason)
    }
    const wasRegistered = this.#isRegistered
    this.#isRegistered = false
    if (wasRegistered) this.#hooks.onDisconnected(how)
  }
}
