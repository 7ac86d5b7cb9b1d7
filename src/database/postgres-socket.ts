import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

const KEEP_ALIVE_MS = 10_000
/** PostgreSQL protocol, ReadyForQuery outside of a transaction: the last thing Postgres says before it waits for us. */
const READY = Buffer.from('Z\0\0\0\x05I', 'latin1')

/** The connection is gone, and with it the answer to what was sent on it. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost'
}

/** Exactly one of them is called, once. */
export interface WireFate {
  lost(cause: Error): void
  /** The driver ended the connection itself. */
  ended(): void
}

/**
 * The socket postgres.js speaks through. On a connection that was lost in the middle of something, version 3.4.9 of it
 * may write to a socket that is gone (which ends the process), run the rest of a transaction outside of it after
 * connecting again, or never connect again (porsager/postgres issues 1208, 1216, 1133). So such a wire is never said to
 * be closed: what is written to it fails, now and later, and the pool gives up the driver instance it belongs to.
 * Reported as closed are only an end that the driver asked for, and a connection that never got as far as a query.
 */
export class Wire extends EventEmitter {
  readonly #socket: Socket
  readonly #fate: WireFate
  #lost: Error | undefined
  #ending = false
  #started = false
  #silentSince: number | undefined
  #ready = false

  constructor(socket: Socket, fate: WireFate) {
    super()
    this.#socket = socket
    this.#fate = fate
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
   * Always true, "go on": postgres.js forgets to keep a transaction's connection to itself when `begin` meets a full
   * socket buffer (its issue 1189). How much waits here is bounded by what callers may have waiting.
   */
  write(chunk: Buffer, done?: () => void): true {
    if (this.#lost) process.nextTick(() => this.#fail())
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

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #receive(chunk: Buffer): void {
    this.#silentSince = undefined
    this.#ready = chunk.subarray(-READY.length).equals(READY)
    this.#started ||= this.#ready
    this.emit('data', chunk)
  }

  #closed(): void {
    if (this.#lost) return
    if (this.#ending) {
      this.#fate.ended()
      this.emit('close', false)
    } else this.#lose(new ConnectionLost('Postgres closed the connection'))
  }

  #lose(cause: Error): void {
    if (this.#lost) return
    this.#lost = cause
    this.#silentSince = undefined
    this.#socket.destroy()
    this.#fail()
    // Late enough that the driver has written, in vain, whatever it was about to write.
    if (!this.#started) setTimeout(() => this.emit('close', false), 10)
    this.#fate.lost(cause)
  }

  #fail(): void {
    if (this.listenerCount('error') > 0) this.emit('error', this.#lost)
  }
}

/** In place of a connection that could not be made: fails whatever waits for it, and lets the driver go on to the next. */
export class DeadWire extends EventEmitter {
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
