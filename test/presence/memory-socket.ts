import { randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'

/** First bytes of whole frames (RFC 6455 §5.2). */
const [TEXT, PING, PONG] = [0x81, 0x89, 0x8a]

/**
 * A client's socket without a file: what the server writes is heard at once, and pings are answered. For more sockets than
 * a process may have open files.
 */
export class MemorySocket extends Duplex {
  readonly remoteAddress: string
  /** Text frames that came. */
  texts = 0
  #isUpgraded = false
  #isPing = false
  readonly #first: string
  #onReply: () => void = () => {}

  /** `first`: the frame it says at once. */
  constructor(remoteAddress: string, first: string) {
    super()
    this.remoteAddress = remoteAddress
    this.#first = first
  }

  /** Asks for the upgrade; resolves when the first frame is answered. */
  open(app: FastifyInstance, url: string): Promise<void> {
    const headers = {
      ...{ host: 'memory', connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': randomBytes(16).toString('base64')
    }
    const request = { method: 'GET', headers, httpVersion: '1.1', url, socket: this }
    return new Promise((resolve, reject) => {
      this.#onReply = resolve
      this.once('close', () => reject(new Error('closed')))
      app.server.emit('upgrade', request, this, Buffer.alloc(0))
    })
  }

  /** The connection is lost, without a closing handshake. */
  lose(): void {
    this.push(null)
    this.destroy()
  }

  // What the server asks of a socket beside reading and writing.

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.#isUpgraded) this.#hear(chunk)
    else if (chunk.toString('latin1').startsWith('HTTP/1.1 101')) {
      this.#isUpgraded = true
      setImmediate(() => this.push(masked(TEXT, Buffer.from(this.#first))))
    } else this.destroy()
    done()
  }

  #hear(chunk: Buffer): void {
    if (chunk[0] === TEXT) this.texts += 1
    if (this.texts === 1) this.#onReply()
    // The WebSocket layer writes the header of a ping, then its payload, if it has one.
    if (chunk[0] === PING && chunk.length === 2 && chunk[1]! > 0) this.#isPing = true
    else if (this.#isPing || (chunk[0] === PING && chunk.length === 2)) {
      const payload = this.#isPing ? Buffer.from(chunk) : Buffer.alloc(0)
      this.#isPing = false
      setImmediate(() => this.push(masked(PONG, payload)))
    }
  }
}

/** A frame as clients send it, with a mask of zeros. */
function masked(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125
  const header = Buffer.alloc(long ? 8 : 6)
  header[0] = opcode
  header[1] = 0x80 | (long ? 126 : payload.length)
  if (long) header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}
