import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { DriverSocket } from './driver.ts'

/** What a server says to a startup message when it wants no password: AuthenticationOk, ReadyForQuery. */
const WELCOME = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I', 'latin1')

/** The connection is gone, and with it the answer to what was sent on it. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost'
}

/** Hears how a socket ended: exactly one of the two is called, once. */
export interface SocketListener {
  lost(cause: Error): void
  /** The driver ended the connection itself. */
  ended(): void
}

/**
 * The socket that the driver speaks through. The session is set up already, so the driver's startup message is answered
 * here. After a connection was lost in the middle of something, the driver may write to a socket that is gone (which ends
 * the process), run the rest of a transaction outside of it after connecting again, or never connect again
 * (porsager/postgres issues 1208, 1216, 1133). So a lost socket emits no `close`: every write to it fails, and the pool
 * replaces it together with its driver. `close` is emitted only for an end that the driver asked for.
 *
 *     set up ──startup message──► started ──end() by the driver──► ended   (close)
 *        └─────────────────────────────┴── lost: error, no close
 */
export class PostgresSocket extends EventEmitter implements DriverSocket {
  readonly #socket: Socket
  readonly #listener: SocketListener
  /** What came before the driver listened: notices. */
  #early: Buffer[] = []
  #started = false
  #lost: Error | undefined
  #ending = false
  #silentSince: number | undefined

  constructor(socket: Socket, listener: SocketListener) {
    super()
    this.#socket = socket
    this.#listener = listener
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#lose(error))
    socket.once('close', () => this.#closed())
  }

  /** Ms since something was written that nothing has answered. */
  silentMs(): number {
    return this.#silentSince === undefined ? 0 : performance.now() - this.#silentSince
  }

  get readyState(): string {
    return this.#lost ? 'closed' : this.#socket.readyState
  }

  /**
   * Always true, whatever the socket's buffer holds: the driver does not keep a transaction's connection to itself when
   * the `begin` meets a full buffer (its issue 1189). The buffer is bounded by what callers may have waiting.
   */
  write(chunk: Buffer, done?: () => void): true {
    if (this.#lost) process.nextTick(() => this.#fail())
    else if (!this.#started) this.#start()
    else {
      this.#silentSince ??= performance.now()
      this.#socket.write(chunk, done)
    }
    return true
  }

  end(chunk?: Buffer): void {
    this.#ending = true
    if (chunk) this.#socket.end(chunk)
    else this.#socket.end()
  }

  destroy(cause: Error = new ConnectionLost('the connection to Postgres was given up')): void {
    this.#lose(cause)
  }

  /** The same for one that is silent: what the system has not sent yet must not be carried out minutes later. */
  reset(): void {
    // Not while it is being ended: Node then waits for ever for the end.
    if (!this.#ending && !this.#socket.writableEnded && !this.#socket.connecting) this.#socket.resetAndDestroy()
    this.destroy()
  }

  #start(): void {
    this.#started = true
    process.nextTick(() => {
      for (const chunk of [WELCOME, ...this.#early.splice(0)]) this.emit('data', chunk)
    })
  }

  #receive(chunk: Buffer): void {
    if (!this.#started) {
      this.#early.push(chunk)
      return
    }
    this.#silentSince = undefined
    this.emit('data', chunk)
  }

  #closed(): void {
    if (this.#lost) return
    if (this.#ending) {
      this.#listener.ended()
      this.emit('close', false)
    } else this.#lose(new ConnectionLost('Postgres closed the connection'))
  }

  #lose(cause: Error): void {
    if (this.#lost) return
    this.#lost = cause
    this.#silentSince = undefined
    this.#socket.destroy()
    this.#fail()
    this.#listener.lost(cause)
  }

  #fail(): void {
    if (this.listenerCount('error') > 0) this.emit('error', this.#lost)
  }
}
