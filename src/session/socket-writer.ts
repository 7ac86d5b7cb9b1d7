import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/** Outgoing bytes a socket may have buffered before it counts as behind: a peer that does not read is not read either. */
const MAX_BUFFERED_BYTES = 1_048_576
/** How every frame is sent: as text, and as it is (sealed bodies do not compress). */
const TEXT = { binary: false, compress: false }

/** The writing end of a socket. Frames of one turn leave in one system call. */
export class Outlet {
  readonly #socket: WebSocket
  readonly #stream: Duplex
  #isCorked = false

  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket
    this.#stream = stream
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  /** Does the peer not read what it is sent? */
  get isBehind(): boolean {
    return this.bufferedBytes > MAX_BUFFERED_BYTES
  }

  /** Writes a frame. `written` hears when its bytes were handed to the system, or why not. */
  write(frame: string, written?: (error?: Error) => void): void {
    this.#cork()
    this.#socket.send(frame, TEXT, written)
  }

  /** Writes frames that are encoded already, see `encodeTextFrames`: nothing is kept for them by the WebSocket layer. */
  writeEncoded(frames: Buffer): void {
    this.#stream.write(frames)
  }

  ping(payload?: Buffer): void {
    if (!this.isOpen) return
    this.#cork()
    this.#socket.ping(payload)
  }

  /** Calls back when everything buffered was handed to the system. */
  onDrained(listener: () => void): void {
    this.#stream.once('drain', listener)
  }

  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      this.#stream.uncork()
    })
  }
}
