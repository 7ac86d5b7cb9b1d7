import { randomBytes } from 'node:crypto'

/** Length of a barrier ping's payload: counter and nonce, 8 bytes each (RFC 6455 §5.5 allows 125). */
const PAYLOAD_BYTES = 16
/** Shortest pause between two pings, in ms: receipts of a busy session are collected meanwhile. */
const PAUSE_MS = 10

export interface PingBarrierHooks {
  ping(payload: Buffer): void
  /** The peer's end has read the first `count` frames; the ping that says so was under way for `ms`. */
  passed(count: number, ms: number): void
  /** The same pong came twice: somebody in between answers pings for the peer. */
  doubled(): void
}

/**
 * Learns from pongs what the peer's WebSocket stack has read. A ping goes out behind frames and carries how many there
 * were; the peer must answer with the same bytes (RFC 6455 §5.5.2-3) and reads in order, so the pong covers them all.
 * At most one ping is under way: the more there is to say, the more each covers. Unsolicited pongs count for nothing.
 */
export class PingBarrier {
  readonly #hooks: PingBarrierHooks
  readonly #nonce = randomBytes(8)
  #written = 0
  #pinged = 0
  #passed = 0
  #pingedAt = 0
  #roundTripMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  /** A ping goes out behind what is being written now, with it. */
  #isComing = false
  #isStopped = false

  constructor(hooks: PingBarrierHooks) {
    this.#hooks = hooks
  }

  /** When the ping that is under way was sent (performance.now()), or undefined. */
  get pingedAt(): number | undefined {
    return this.#pinged > this.#passed ? this.#pingedAt : undefined
  }

  /** How long the last answered ping was under way, in ms; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs
  }

  /** `count` frames were written in all; `urgent`: the sender cannot go on before it knows more. */
  wrote(count: number, urgent: boolean): void {
    this.#written = count
    if (urgent) this.#schedule(0)
    else this.#scheduleNext()
  }

  /** Takes any pong of the socket. */
  pong(data: Buffer): void {
    if (this.#isStopped || data.length !== PAYLOAD_BYTES) return
    if (!data.subarray(8).equals(this.#nonce)) return
    const count = Number(data.readBigUInt64BE())
    if (count > 0 && count <= this.#passed) this.#hooks.doubled()
    if (count !== this.#pinged || count <= this.#passed) return
    this.#passed = count
    this.#roundTripMs = performance.now() - this.#pingedAt
    this.#hooks.passed(count, this.#roundTripMs)
    if (this.#written > count) this.#scheduleNext()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #scheduleNext(): void {
    if (this.#timer === undefined) this.#schedule(this.#pingedAt + PAUSE_MS - performance.now())
  }

  #schedule(ms: number): void {
    if (this.#isStopped || this.#isComing || this.pingedAt !== undefined) return
    this.#cancel()
    if (ms > 0) this.#timer = setTimeout(() => this.#ping(), ms)
    else {
      this.#isComing = true
      queueMicrotask(() => this.#ping()) // before the socket is uncorked: frames and ping leave in one system call
    }
  }

  #cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #ping(): void {
    this.#timer = undefined
    this.#isComing = false
    if (this.#isStopped || this.#written === this.#passed) return
    const payload = Buffer.alloc(PAYLOAD_BYTES)
    payload.writeBigUInt64BE(BigInt(this.#written))
    this.#nonce.copy(payload, 8)
    this.#pinged = this.#written
    this.#pingedAt = performance.now()
    this.#hooks.ping(payload)
  }
}
