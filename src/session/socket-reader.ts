import type { Duplex } from 'node:stream'
import type { Overdrawn, Payer, Rank } from '../limits/accounts.ts'
import type { FlowControlled } from './flow-control.ts'
import type { Turns } from './turns.ts'

/** Bytes handed to the WebSocket layer at once: some hundred frames of the smallest kind. */
const PIECE_BYTES = 2_048
/** Longest rest of a socket before its budget is looked at again, in ms. */
const LONGEST_REST_MS = 1_000

const anyPiece = () => PIECE_BYTES

type Feed = (this: Duplex, chunk: Buffer) => void

/** Whose socket is read. */
export interface SocketReaderOwner {
  readonly meter: Payer
  /** A piece was handed on. */
  fed(bytes: number): void
  /** Its budget is used up, so nothing more is read. Called again and again while that lasts. */
  overdrawn(why: Overdrawn): void
  /** Its budget has something left again. */
  recovered(): void
}

export interface SocketReaderOptions {
  /** The WebSocket, or whatever reads and pauses the stream. */
  readonly socket: FlowControlled
  readonly stream: Duplex
  readonly turns: Turns
  /** How much of what was read is handed on at once; default: {@link PIECE_BYTES}. */
  readonly pieceOf?: (left: Buffer) => number
}

/**
 * Hands the bytes of a socket to the WebSocket or the HTTP layer piece by piece, when the socket has paid for them and it is its turn.
 * So a flood of the smallest frames, pings and pongs among them, costs as much as it may and keeps nobody waiting; what
 * is not handed on stays as it came, in one buffer and in the peer's TCP stream.
 *
 *     reading ──budget used up──► resting ──a while later──► reading
 *         │ └──pause()──► paused ──resume()──► reading
 *         └──the turn is over──► waiting ──its turn──► reading
 *     stopped: from any state, by stop()
 *
 * A socket that we close is read no faster than before: its close frame lies behind what it sent.
 */
export class SocketReader implements FlowControlled {
  readonly #owner: SocketReaderOwner
  readonly #socket: FlowControlled
  readonly #stream: Duplex
  readonly #turns: Turns
  readonly #pieceOf: (left: Buffer) => number
  /** The layer's own listener. */
  readonly #feed: Feed | undefined
  readonly #listener = (chunk: Buffer) => this.#receive(chunk)
  readonly #closed = () => {
    if (this.#isStreamPaused) this.#stream.read()
  }
  #left: Buffer | undefined
  /** FlowControl wants nothing more. */
  #isPaused = false
  #isStreamPaused = false
  #isWaiting = false
  #isReading = false
  #rest: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(owner: SocketReaderOwner, { socket, stream, turns, pieceOf = anyPiece }: SocketReaderOptions) {
    this.#owner = owner
    this.#socket = socket
    this.#stream = stream
    this.#turns = turns
    this.#pieceOf = pieceOf
    const [feed] = stream.listeners('data')
    this.#feed = feed as Feed | undefined
    if (this.#feed === undefined) return
    stream.removeListener('data', this.#feed)
    stream.on('data', this.#listener)
    // At the end of a socket the WebSocket layer parses in one go what was not read yet: nobody waits for that.
    stream.prependListener('close', this.#closed)
  }

  /** Does something that has come wait for its turn? */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  get rank(): Rank {
    return this.#owner.meter.rank
  }

  pause(): void {
    this.#isPaused = true
    this.#pauseStream()
  }

  resume(): void {
    this.#isPaused = this.#isStopped
    this.#read()
  }

  /** Nothing more of it is read, whatever comes; what was read is forgotten. */
  stop(): void {
    this.#isStopped = true
    this.pause()
    this.drop()
  }

  /** The socket is gone. */
  drop(): void {
    this.#left = undefined
    clearTimeout(this.#rest)
    this.#rest = undefined
  }

  /** Gives the stream back with what was not handed on: another layer reads it from now on. */
  release(): void {
    const left = this.#left
    this.#stream.removeListener('data', this.#listener)
    this.#stream.removeListener('close', this.#closed)
    this.#isStopped = true
    this.#isPaused = true
    this.drop()
    if (left !== undefined) this.#stream.unshift(left)
  }

  /** A piece in its turn; is there more? */
  serve(): boolean {
    this.#isWaiting = this.#piece()
    if (!this.#isWaiting) this.#readOn()
    return this.#isWaiting
  }

  #receive(chunk: Buffer): void {
    if (this.#left !== undefined) {
      this.#pauseStream() // the HTTP layer reads on by itself, whoever paused the stream
      this.#stream.unshift(chunk)
      return
    }
    this.#owner.meter.pay('received', chunk.length / 1_024)
    this.#left = chunk
    this.#read()
  }

  #read(): void {
    if (this.#isReading || this.#isWaiting) return
    this.#isReading = true
    while (this.#left !== undefined && this.#isTurn() && this.#piece());
    this.#isReading = false
    if (!this.#isWaiting) this.#readOn()
  }

  #isTurn(): boolean {
    if (this.#turns.hasRoom(this.rank)) return true
    this.#isWaiting = true
    this.#pauseStream()
    this.#turns.wait(this)
    return false
  }

  /** Hands on a piece if that is allowed; returns whether more of it can be handed on now. */
  #piece(): boolean {
    const left = this.#left
    if (left === undefined || this.#stream.destroyed || this.#isPaused || this.rests()) return false
    const bytes = this.#pieceOf(left)
    const piece = left.subarray(0, bytes)
    this.#left = left.length > bytes ? left.subarray(bytes) : undefined
    this.#feed!.call(this.#stream, piece)
    this.#owner.fed(piece.length)
    return this.#left !== undefined
  }

  /** Rests if the budget is used up; returns whether it rests. */
  rests(): boolean {
    if (this.#rest !== undefined) return true
    const overdrawn = this.#owner.meter.overdrawn()
    if (overdrawn === undefined) return false
    this.#pauseStream()
    this.#rest = setTimeout(() => this.#rested(), Math.min(overdrawn.ms + 1, LONGEST_REST_MS))
    this.#owner.overdrawn(overdrawn.why)
    return true
  }

  #rested(): void {
    this.#rest = undefined
    if (this.rests()) return
    this.#owner.recovered()
    this.#read()
  }

  /** Everything is handed on: the stream is read again, unless there is a reason against it. */
  #readOn(): void {
    if (this.#left !== undefined || this.#isPaused || this.#rest !== undefined || !this.#isStreamPaused) return
    this.#isStreamPaused = false
    this.#socket.resume()
  }

  #pauseStream(): void {
    this.#isStreamPaused = true
    this.#socket.pause()
  }
}
