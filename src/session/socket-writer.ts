import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'

/** Outgoing bytes a socket may have buffered before it counts as full: the peer does not read. */
const MAX_BUFFERED_BYTES = 1_048_576
/** How every frame is sent: as text, and as it is (sealed bodies do not compress). */
const TEXT = { binary: false, compress: false }

/** The parts of a net.Socket that tell how far its writes are. */
type Progress = Duplex & {
  readonly bytesWritten?: number
  readonly _handle?: { readonly bytesWritten?: number; readonly writeQueueSize?: number } | null
}

export interface SocketWriterOwner {
  filled(): void
  drained(): void
}

/**
 * The writing end of a socket. Frames written in one turn of the event loop leave in one system call.
 *
 *     writable ──more than 1 MiB is buffered──► full ──all of it went to the system──► writable
 *
 * Its owner is told of each transition once.
 */
export class SocketWriter {
  readonly #owner: SocketWriterOwner
  readonly #socket: WebSocket
  readonly #stream: Duplex
  #isCorked = false
  #isFull = false
  /** At the last call of `progressAt`: bytes the system had taken, and whether others were waiting. */
  #takenBytes = 0
  #wasWaiting = false
  #progressAt = 0

  constructor(owner: SocketWriterOwner, socket: WebSocket, stream: Duplex) {
    this.#owner = owner
    this.#socket = socket
    this.#stream = stream
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  get isFull(): boolean {
    return this.#isFull
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  /** Writes a frame. `written` hears when its bytes were handed to the system, or why not. */
  write(frame: string, written?: (error?: Error) => void): void {
    this.#cork()
    this.#socket.send(frame, TEXT, written)
    this.#checkIfFull()
  }

  /** Writes frames that are encoded already (`encodeTextFrames`): many sockets share these bytes. */
  writeEncoded(frames: Buffer, written?: (error?: Error | null) => void): void {
    if (!this.isOpen) return
    this.#cork()
    this.#stream.write(frames, written)
    this.#checkIfFull()
  }

  ping(payload?: Buffer): void {
    if (!this.isOpen) return
    this.#cork()
    this.#socket.ping(payload)
  }

  /**
   * When the peer was last seen to read, which makes room for what is buffered here; 0: never seen. Bytes that the system
   * takes at once say nothing of the peer. `now` is the clock of the caller, which asks about every second.
   */
  progressAt(now: number): number {
    const { bytesWritten = 0, _handle } = this.#stream as Progress
    // What libuv still holds of one large write shrinks while the peer reads; Node.js itself shows only whole writes.
    // Writes that Node.js keeps behind that one are not the handle's yet: counted, they would look like progress.
    const taken = (_handle?.bytesWritten ?? bytesWritten) - (_handle?.writeQueueSize ?? this.bufferedBytes)
    if (this.#wasWaiting && taken !== this.#takenBytes) this.#progressAt = now
    this.#takenBytes = taken
    this.#wasWaiting = this.bufferedBytes > 0
    return this.#progressAt
  }

  #checkIfFull(): void {
    if (this.#isFull || this.#socket.bufferedAmount <= MAX_BUFFERED_BYTES) return
    this.#isFull = true
    this.#stream.once('drain', () => {
      this.#isFull = false
      this.#owner.drained()
    })
    this.#owner.filled()
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
