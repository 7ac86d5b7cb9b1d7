import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { DriverSocket } from './driver.ts'

const KEEP_ALIVE_MS = 10_000
/** PostgreSQL protocol, ReadyForQuery outside of a transaction: Postgres sends it last, then waits for the next query. */
const READY = Buffer.from('Z\0\0\0\x05I', 'latin1')

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
 * The socket that the driver speaks through. After a connection was lost in the middle of something, the driver may write
 * to a socket that is gone (which ends the process), run the rest of a transaction outside of it after connecting again,
 * or never connect again (porsager/postgres issues 1208, 1216, 1133). So a lost socket emits no `close`: every write to it
 * fails, and the pool replaces the driver instance it belongs to. `close` is emitted only for an end that the driver
 * asked for, and for a connection that was lost before its first query.
 *
 *     starting ──ReadyForQuery──► started ──end() by the driver──► ended   (close)
 *         └── lost: error, close     └── lost: error, no close
 */
export class PostgresSocket extends EventEmitter implements DriverSocket {
  readonly #socket: Socket
  readonly #listener: SocketListener
  #lost: Error | undefined
  #ending = false
  #started = false
  #silentSince: number | undefined
  #ready = false

  constructor(socket: Socket, listener: SocketListener) {
    super()
    this.#socket = socket
    this.#listener = listener
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#lose(error))
    socket.once('close', () => this.#closed())
  }

  /** Ms since something was written that nothing has answered. */
  silentMs(): number {
    return this.#silentSince === undefined ? 0 : performance.now() - this.#silentSince
  }

  /** Is Postgres waiting for us, outside of a transaction? */
  atRest(): boolean {
    return this.#ready && this.#silentSince === undefined
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
    else {
      this.#silentSince ??= performance.now()
      this.#ready = false
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

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #receive(chunk: Buffer): void {
    this.#silentSince = undefined
    if (chunk.subarray(-READY.length).equals(READY)) this.#ready = true // a notification may come after it
    this.#started ||= this.#ready
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
    // By then the driver has written what it was about to write.
    if (!this.#started) setTimeout(() => this.emit('close', false), 10)
    this.#listener.lost(cause)
  }

  #fail(): void {
    if (this.listenerCount('error') > 0) this.emit('error', this.#lost)
  }
}

/** Stands in for a connection that could not be made: fails the query that waits for it, then says it is closed. */
export class DeadSocket extends EventEmitter implements DriverSocket {
  readonly readyState = 'closed'

  constructor(cause: Error) {
    super()
    setImmediate(() => {
      if (this.listenerCount('error') > 0) this.emit('error', cause)
      setTimeout(() => this.emit('close', false), 1)
    })
  }

  write(): true {
    return true
  }

  end(): void {}

  destroy(): void {}
}
