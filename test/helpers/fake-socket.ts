// A WebSocket and the stream below it, in memory: what is written to them is kept, and the test says what comes back.
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

type Written = (error?: Error) => void

export class FakeSocket extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  bufferedAmount = 0
  isPaused = false
  isTerminated = false
  /** Text frames, pings as `ping` and what the stream was given as `bytes`, in the order in which they were written. */
  readonly sent: string[] = []
  readonly written: (Written | undefined)[] = []
  closeCode: number | undefined
  /** The payload of the last ping. */
  pinged = Buffer.alloc(0)

  send(frame: string, _options: object, written?: Written): void {
    this.sent.push(frame)
    this.written.push(written)
  }

  ping(payload = Buffer.alloc(0)): void {
    this.pinged = payload
    this.sent.push('ping')
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  close(code: number): void {
    this.readyState = 2
    this.closeCode = code
  }

  terminate(): void {
    this.isTerminated = true
    this.closed(1006)
  }

  /** The socket is gone. */
  closed(code: number): void {
    this.readyState = 3
    this.emit('close', code)
  }

  /** A frame of the peer comes. */
  receive(data: string | Buffer, isBinary = false): void {
    this.emit('message', Buffer.from(data as string), isBinary)
  }

  pong(data = Buffer.alloc(0)): void {
    this.emit('pong', data)
  }

  asSocket(): WebSocket {
    return this as unknown as WebSocket
  }
}

export class FakeStream extends EventEmitter {
  corks = 0
  uncorks = 0
  /** All that was written, also what Node.js holds back. */
  bytesWritten = 0
  /** What was handed to libuv, and how much of it libuv still holds. */
  _handle = { bytesWritten: 0, writeQueueSize: 0 }
  readonly #socket: FakeSocket

  constructor(socket: FakeSocket) {
    super()
    this.#socket = socket
  }

  cork(): void {
    this.corks += 1
  }

  uncork(): void {
    this.uncorks += 1
  }

  write(bytes: Buffer, written?: Written): void {
    this.#socket.sent.push(`bytes ${bytes.length}`)
    this.#socket.written.push(written)
  }

  asStream(): Duplex {
    return this as unknown as Duplex
  }
}
