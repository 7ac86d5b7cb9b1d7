import { awakeTimeout } from '../util/awake-clock.ts'

/** What the quiet is longer than the way to the client and back, in ms: a busy machine may stop a client for so long. */
const MARGIN_MS = 100
/** How often it is looked whether an open request was answered, in ms. */
const LOOK_EVERY_MS = 20
/** Longest silence of the client that still counts as a part of its calls, in ms. */
const PATIENCE_MS = 1_000
/** Longest a notification waits for a client that never pauses, in ms: less than a session may owe its receipts. */
const LONGEST_MS = 20_000
/** How much of the longest round trip is believed after a shorter one. */
const SHORTENING = 0.8

/**
 * When notifications may be sent to an old client.
 *
 * The official signaling client takes the very next frame on its socket for the answer to a call, whatever it is: that
 * call then fails after 10 s, and its message is never sent. So for sessions that look like it a reply never waits behind
 * a notification, and a notification waits: while a request is open, and for a round trip and 100 ms after its last
 * frame and our reply, in which it may have made its next call. After registration the first quiet begins with the pong of a
 * ping that was sent behind the reply. While the client calls without a pause there is no good moment, not even directly
 * behind a reply: a browser gives the page its turn between two frames, in which the next call is made. Only after 20 s
 * is a call of such a client given up. Source: docs/protocol.md, 3.2.
 *
 *     quiet ──a frame came, or a request is open──► busy ──neither for so long, or 20 s passed──► quiet: all is sent
 *
 * What waits is bounded by what fills it: messages by the window of their session, others by a rate of ours.
 */
export class RepliesFirst {
  readonly #hasOpenRequest: () => boolean
  #waiting: (() => void)[] = []
  /** When the first of what waits began to (performance.now()). */
  #since = 0
  /** When the client was last heard to call; undefined until the first round trip is known. */
  #calledAt: number | undefined
  #roundTripMs = 0
  /** A frame of the client is expected, which follows from the last reply. */
  #expectsFrame = false
  readonly #startedAt = performance.now()
  #cancelTimer: (() => void) | undefined

  constructor(hasOpenRequest: () => boolean) {
    this.#hasOpenRequest = hasOpenRequest
  }

  /** A pong came: the first one answers the ping behind the registration. */
  pong(): void {
    if (this.#calledAt === undefined) this.measured(performance.now() - this.#startedAt)
  }

  /** The client's end answered a ping that was under way so long. */
  measured(roundTripMs: number): void {
    this.#roundTripMs = Math.max(roundTripMs, SHORTENING * this.#roundTripMs) // one quick answer is no proof of the next
    if (this.#calledAt !== undefined) return
    this.#calledAt = performance.now()
    if (this.#waiting.length === 0) return
    this.#cancelTimer?.() // it waits for the end of the first second
    this.#schedule(this.#calledAt)
  }

  /** A frame of the client came. */
  called(): void {
    this.#expectsFrame = false
    if (this.#calledAt !== undefined) this.#calledAt = performance.now()
  }

  /** A reply was sent; its next call may follow. `isFollowed`: a frame follows, unless the application is slow. */
  replied(isFollowed: boolean): void {
    this.#expectsFrame = isFollowed
    if (this.#calledAt !== undefined) this.#calledAt = performance.now()
  }

  /** Sends a notification: now, or behind those that wait, once it is quiet. */
  notify(send: () => void): void {
    const now = performance.now()
    if (this.#waiting.length === 0 && this.#msToQuiet(now) <= 0) {
      send()
      return
    }
    if (this.#waiting.push(send) > 1) return
    this.#since = now
    this.#schedule(now)
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#waiting = []
  }

  /** How long it takes to be quiet if the client says nothing more; more than nothing while a request is open. */
  #msToQuiet(now: number): number {
    if (this.#calledAt === undefined) return this.#startedAt + PATIENCE_MS - now
    const silence = this.#expectsFrame ? PATIENCE_MS : Math.min(this.#roundTripMs + MARGIN_MS, PATIENCE_MS)
    const ms = this.#calledAt + silence - now
    return this.#hasOpenRequest() ? Math.max(LOOK_EVERY_MS, ms) : ms
  }

  #schedule(now: number): void {
    const ms = Math.min(this.#msToQuiet(now), this.#since + LONGEST_MS - now)
    this.#cancelTimer = awakeTimeout(Math.max(1, ms), () => this.#sendIfQuiet())
  }

  #sendIfQuiet(): void {
    const now = performance.now()
    if (this.#msToQuiet(now) > 0 && now - this.#since < LONGEST_MS) this.#schedule(now)
    else this.#sendAll()
  }

  #sendAll(): void {
    this.#cancelTimer?.()
    for (const send of this.#waiting.splice(0)) send()
  }
}
