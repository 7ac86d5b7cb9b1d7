// What both clients are made of: a connection that is registered whenever it is open, and open whenever it can be.
import { localError, type RelayError } from './relay-error.ts'
import { createTransport, type Transport, type TransportEvents, type TransportOptions } from './transport.ts'

const CLOSE_REGISTRATION_FAILED = 4_000

export interface RegistrationHooks {
  /** Registers on the connection that has just opened. Rejects with a RelayError: refused, TIMEOUT, or lost meanwhile. */
  register(): Promise<void>
  /** Refusals of `register` that will not go away by trying again. */
  readonly finalRefusals: readonly string[]
  /** A connection is expected to come (back): requests may wait. `reason`: what was under way on the last one is lost. */
  onWait(reason?: RelayError): void
  /** No connection will come, until `connect` is called again: requests fail, those under way too. */
  onFail(reason: RelayError): void
  onRegistered(again: boolean): void
  onFrame(value: unknown): void
  /** Something the user should hear of; what follows from it is told by the others. */
  onError(error: Error): void
  /** A registered connection ended. */
  onDisconnected(how: TransportEvents['close']): void
  onReconnecting(attempt: TransportEvents['reconnecting']): void
}

export class RegisteredConnection {
  readonly #hooks: RegistrationHooks
  readonly #transport: Transport
  /** Set by a first registration: from then on a new connection registers by itself. */
  #registersItself = false
  #isRegistered = false
  /** Why there is no connection any more; replaced with each one that ends. */
  #loss: RelayError | undefined
  /** Set from `end` to the next `connect`. */
  #hasEnded = false

  constructor(options: TransportOptions, hooks: RegistrationHooks) {
    this.#hooks = hooks
    this.#transport = createTransport(options)
    const { events } = this.#transport
    events.on('frame', (frame) => hooks.onFrame(frame))
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

  /** Connects and registers. When that fails, it has ended. */
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

  /** Fails what waits, with that reason; resolves when the socket is gone. */
  async end(reason: RelayError): Promise<void> {
    this.#registersItself = false
    this.#hasEnded = true
    this.#loss = reason
    this.#hooks.onFail(reason)
    await this.#transport.close()
  }

  /** Rejects also when the connection ended between the server's answer and our hearing of it. */
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
