/**
 * Why no further frame of a socket is handled. Each reason is added and removed by its own owner:
 * `answer`: a frame is being answered that the next ones must not overtake; `in-flight`: as many frames as allowed are under
 * way; `refused`: too many frames were refused in this second; `writer`: the peer does not read what it is sent;
 * `unwritten`: a large answer has not left this process; `rate`: the socket, its address or its identity asks for more work
 * than it may; `stopping`: the server stops.
 */
export type HoldReason = 'answer' | 'in-flight' | 'refused' | 'writer' | 'unwritten' | 'rate' | 'stopping'

/** Reasons are bits of one number: they change with every message, and each of the many idle sessions would keep a set. */
const BIT: Readonly<Record<HoldReason, number>> = {
  answer: 1,
  'in-flight': 2,
  refused: 4,
  writer: 8,
  unwritten: 16,
  rate: 32,
  stopping: 64
}

/** Bytes of frames that are kept while a session is held; past it the socket is not read. One read of a socket is as much. */
const MAX_KEPT_BYTES = 65_536

/** What a kept frame takes beside its bytes: many small ones are not kept either. */
const FRAME_BYTES = 256
/** Frames that are handled at once; the others of a piece, and of what was kept, wait for the turns of their socket. */
const AT_ONCE = 16

interface Frame {
  readonly data: Buffer
  readonly isBinary: boolean
}

export interface FlowControlled {
  pause(): void
  resume(): void
}

/** Who handles the frames of a socket. */
export interface FlowControlOwner {
  handle(data: Buffer, isBinary: boolean): void
  /** Calls what is passed to it in a turn of this socket. */
  inTurn(proceed: () => void): void
  /** Asked before each kept frame: is the budget used up? Then there is a reason, `rate`, from now on. */
  rests(): boolean
}

/**
 * Decides when the frames of one socket are handled.
 *
 *     open ──hold(first reason)──► held ──release(last reason)──► open: what was kept is handled, then the socket is read
 *
 * While held, frames are kept up to a limit, so pongs behind them are still heard; past it the socket is paused and the rest
 * waits in the peer's own TCP stream.
 */
export class FlowControl {
  readonly #socket: FlowControlled
  readonly #owner: FlowControlOwner
  /** See `BIT`; 0: open. */
  #reasons = 0
  #kept: Frame[] = []
  #keptBytes = 0
  /** Frames of this piece that were handled. */
  #ofPiece = 0
  #isPaused = false
  #isHandling = false
  #isWaiting = false

  constructor(owner: FlowControlOwner, socket: FlowControlled) {
    this.#owner = owner
    this.#socket = socket
  }

  get isHeld(): boolean {
    return this.#reasons !== 0
  }

  isHeldFor(reason: HoldReason): boolean {
    return (this.#reasons & BIT[reason]) !== 0
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Do frames that are kept wait for the turn of their socket? */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Handles a frame now, or keeps it behind those that wait. */
  receive(data: Buffer, isBinary: boolean): void {
    const isOpen = !this.isHeld
    if (isOpen && this.#kept.length === 0 && this.#ofPiece < AT_ONCE) {
      this.#ofPiece += 1
      this.#owner.handle(data, isBinary)
      return
    }
    this.#kept.push({ data, isBinary })
    this.#keptBytes += data.length + FRAME_BYTES
    if (this.#keptBytes >= MAX_KEPT_BYTES) this.#pause()
    if (isOpen && !this.#isWaiting && !this.#isHandling) this.#proceedLater()
  }

  /** What comes from now on belongs to another piece of the stream, in a turn of its own. */
  pieceEnded(): void {
    this.#ofPiece = 0
  }

  hold(reason: HoldReason): void {
    this.#reasons |= BIT[reason]
    if (reason === 'stopping') this.#pause()
  }

  release(reason: HoldReason): void {
    if (!this.isHeldFor(reason)) return
    this.#reasons &= ~BIT[reason]
    if (!this.isHeld) this.#proceed()
  }

  /** Reads a paused socket until something is heard, to learn whether the peer lives. */
  listen(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** Forgets what was kept and reads on: only the peer's close frame matters now. */
  close(): void {
    this.#kept = []
    this.#keptBytes = 0
    this.listen()
  }

  #pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  #proceed(): void {
    if (this.#isHandling || this.#isWaiting) return // a kept frame released the last reason: the loop below goes on
    this.#isHandling = true
    let handled = 0
    try {
      while (handled < Math.min(this.#kept.length, AT_ONCE) && !this.isHeld && !this.#owner.rests()) {
        const { data, isBinary } = this.#kept[handled]!
        handled += 1
        this.#keptBytes -= data.length + FRAME_BYTES
        this.#owner.handle(data, isBinary)
      }
    } finally {
      this.#kept.splice(0, handled)
      this.#isHandling = false
    }
    if (this.isHeld) return
    if (this.#kept.length === 0) this.listen()
    else this.#proceedLater()
  }

  #proceedLater(): void {
    this.#isWaiting = true
    this.#owner.inTurn(() => {
      this.#isWaiting = false
      if (!this.isHeld) this.#proceed()
    })
  }
}
