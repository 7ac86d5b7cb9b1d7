import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Accounts, RequestMeter } from '../limits/accounts.ts'
import { SocketReader, type SocketReaderOwner } from './socket-reader.ts'
import type { Turns } from './turns.ts'

/** Longest part of a connection that is handed to the HTTP layer at once, in bytes. */
const PIECE_BYTES = 1_024
const END_OF_HEADERS = '\r\n\r\n'
/** Longest that nothing of an answer is taken by who asked for it, in ms. */
const ANSWER_TAKEN_MS = 30_000

/** A connection of the HTTP layer, until it is closed or a WebSocket. */
class Connection implements SocketReaderOwner {
  readonly meter: RequestMeter
  readonly reader: SocketReader
  /** Requests that are not answered. */
  underWay = 0
  latest: IncomingMessage | undefined

  constructor(meter: RequestMeter, stream: Duplex, turns: Turns) {
    this.meter = meter
    this.reader = new SocketReader(this, { socket: stream, stream, turns, pieceOf })
  }

  /** Hears that the stream is closed. */
  readonly drop = () => this.reader.drop()

  /** A request is complete: the next one is not read before the answer is written out. */
  fed(): void {
    if (this.underWay > 0 && this.latest?.complete) this.reader.pause()
  }

  overdrawn(): void {}
  recovered(): void {}
}

/**
 * Reads HTTP connections as sockets are read: in turns, and as their budgets allow. The HTTP layer by itself takes whatever
 * has come, thousands of requests that were sent without waiting for answers, in one turn of the event loop.
 *
 *     reading ──a request is complete──► answering, nothing is read ──its answer is written out──► reading
 *        └──a WebSocket handshake──► released
 */
export class RequestReaders {
  readonly #accounts: Accounts
  readonly #turns: Turns
  readonly #connections = new WeakMap<object, Connection>()

  constructor(accounts: Accounts, turns: Turns) {
    this.#accounts = accounts
    this.#turns = turns
  }

  /** `connection`: the event of a connection that the HTTP layer has begun to read. */
  watch(listener: Server, connection: 'connection' | 'secureConnection'): void {
    listener.on(connection, (stream: Duplex) => this.#accept(stream))
    listener.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#asked(request, response)
    )
    listener.prependListener('upgrade', ({ socket }: IncomingMessage) => this.#release(socket))
  }

  #accept(stream: Duplex): void {
    const meter = this.#accounts.requestMeter((stream as Duplex & { remoteAddress?: string }).remoteAddress)
    const connection = new Connection(meter, stream, this.#turns)
    this.#connections.set(stream, connection)
    stream.once('close', connection.drop)
  }

  /** A WebSocket lives for days: nothing of its handshake is kept. */
  #release(stream: Duplex): void {
    const connection = this.#connections.get(stream)
    if (connection === undefined) return
    connection.reader.release()
    this.#connections.delete(stream)
    stream.removeListener('close', connection.drop)
  }

  #asked(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    const { reader, meter } = connection
    const before = socket.bytesWritten
    meter.pay('request')
    connection.underWay += 1
    connection.latest = request
    response.setTimeout(ANSWER_TAKEN_MS)
    // All of it is handed over, whether anybody reads it or not.
    response.once('prefinish', () => meter.pay('answered', (socket.bytesWritten - before) / 1_024))
    response.once('close', () => {
      connection.underWay -= 1
      if (connection.underWay > 0) return
      connection.latest = undefined
      reader.resume()
    })
  }
}

/** As much as is handed on at once: not more than one request, unless it has a body. */
function pieceOf(left: Buffer): number {
  const piece = left.subarray(0, PIECE_BYTES)
  const end = piece.indexOf(END_OF_HEADERS)
  return end === -1 ? piece.length : end + END_OF_HEADERS.length
}
