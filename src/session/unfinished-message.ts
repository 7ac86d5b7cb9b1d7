/** Bytes of a control frame's header, as a client sends it (RFC 6455 §5.2). */
const CONTROL_HEADER_BYTES = 6

/**
 * How much came of a message that is not complete yet, and since when. Exact to a piece of the reader, since what matters
 * is a message that never ends.
 */
export class UnfinishedMessage {
  #bytes = 0
  #since: number | undefined
  #hasEnded = false

  get bytes(): number {
    return this.#bytes
  }

  /** By the clock of the caller of `fed`; undefined: nothing is unfinished. */
  get since(): number | undefined {
    return this.#since
  }

  /** A piece was handed to the WebSocket layer, which has said what it completes. */
  fed(bytes: number, now: number): void {
    this.#bytes = this.#hasEnded ? 0 : this.#bytes + bytes
    this.#hasEnded = false
    if (this.#bytes <= 0) this.#since = undefined
    else this.#since ??= now
  }

  /** A message is complete. */
  messageEnded(): void {
    this.#hasEnded = true
    this.#since = undefined
  }

  /** A ping or pong of so many bytes came, perhaps between the parts of a message. */
  controlEnded(bytes: number): void {
    this.#bytes -= bytes + CONTROL_HEADER_BYTES
  }
}
