import type { FlowControl } from './flow-control.ts'
import type { SocketWriter } from './socket-writer.ts'

/** How long a socket may leave us without an answer, in ms. */
export interface LivenessLimits {
  /** A socket that was silent this long is pinged. */
  readonly heartbeatMs: number
  /** A socket from which nothing came this long after a ping is gone. */
  readonly answerMs: number
  /** A session that receipted nothing this long, though it was sent something, does not read. */
  readonly stallMs: number
}

/**
 * Whether the peer of one socket still lives. All times are of the clock of all sessions, which stands still while the
 * process does.
 *
 *     silent ──heartbeat, or the writer is full──► asked ──anything came──► silent
 *                                                    └──nothing, for too long──► unresponsive
 *
 * A socket that is not read is read once more before it is judged: the answer may lie there.
 */
export class Liveness {
  readonly #flow: FlowControl
  readonly #writer: Pick<SocketWriter, 'isFull' | 'progressAt'>
  #heardAt: number
  #askedAt: number | undefined
  #isReadOnceMore = false

  constructor(flow: FlowControl, writer: Pick<SocketWriter, 'isFull' | 'progressAt'>, now: number) {
    this.#flow = flow
    this.#writer = writer
    this.#heardAt = now
  }

  /** A ping was sent. */
  asked(now: number): void {
    this.#askedAt ??= now
  }

  /** Anything came: any frame proves life (RFC 6455 §5.5.3). */
  heard(now: number): void {
    this.#heardAt = now
    this.#askedAt = undefined
    this.#isReadOnceMore = false
  }

  needsPing(now: number, { heartbeatMs }: LivenessLimits): boolean {
    return this.#askedAt === undefined && (this.#writer.isFull || now - this.#heardAt > heartbeatMs)
  }

  /**
   * A peer that reads what it is sent lives, however slowly. `waitingSince`: since when something it was sent has not been
   * receipted.
   */
  isUnresponsive(now: number, waitingSince: number | undefined, { answerMs, stallMs }: LivenessLimits): boolean {
    const flow = this.#flow
    if (flow.isHeldFor('stopping') || flow.isHeldFor('rate')) return false // its answer is not read
    const progressAt = this.#writer.progressAt(now)
    const unansweredMs = this.#askedAt === undefined ? 0 : now - Math.max(this.#askedAt, progressAt)
    const isOurTurn = flow.isHeldFor('answer') || flow.isHeldFor('in-flight') // its receipts may wait behind our own work
    const stalledMs = isOurTurn || waitingSince === undefined ? 0 : now - waitingSince
    if (unansweredMs <= answerMs && stalledMs <= stallMs) return false
    if (!flow.isPaused || this.#isReadOnceMore) return true
    this.#isReadOnceMore = true
    flow.listen()
    return false
  }
}
