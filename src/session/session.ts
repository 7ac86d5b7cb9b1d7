import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Mailbox } from '../delivery/mailbox.ts'
import type { Member } from '../presence/registry.ts'
import { CLOSE, type CloseReason } from '../protocol/close-codes.ts'
import { MAX_FRAME_BYTES } from '../protocol/frame.ts'
import type { Effect } from './effect.ts'
import { Outlet } from './socket-writer.ts'

/** What a protocol makes of frames. */
export interface SessionProtocol {
  readonly name: 'signaling' | 'l2ps'
  /** Decides what a text frame leads to; never throws for bad input. */
  handle(text: string, session: Session): Effect
  /** Answers to what cannot be handled at all. */
  refuse(what: 'binary' | 'too-large' | 'internal'): Effect
  /** The frame that tells the others in a network that a peer came or went; undefined: they are not told. */
  announce(change: 'joined' | 'left', member: Member): string | undefined
}

/** Where a socket comes from. */
export interface SessionOrigin {
  readonly stream: Duplex
  readonly address: string
  readonly isBrowser: boolean
}

export interface SessionLimits {
  readonly framesInFlight: number
  readonly refusedFramesPerSecond: number
  readonly registrationDeadlineMs: number
}

/** How long a socket may leave us without an answer, in ms. */
export interface LivenessLimits {
  /** A socket that was silent this long is pinged. */
  readonly heartbeatMs: number
  /** A socket from which nothing came this long after a ping is gone. */
  readonly answerMs: number
  /** A session that receipted nothing this long, though it was sent something, does not read. */
  readonly stallMs: number
}

export interface SessionHooks {
  readonly mailbox: Mailbox
  readonly limits: SessionLimits
  frameReceived(bytes: number): void
  frameRefused(code: string): void
  /** A frame failed for a reason of ours. */
  failed(error: unknown): void
  /** It owes an answer for too long. */
  unresponsive(session: Session): void
  /** The socket speaks for a peer now. */
  registered(session: Session): void
  /** The socket is gone; `isClean`: after a closing handshake. */
  closed(session: Session, isClean: boolean): void
}

/** A place in the row of answers. */
interface Slot {
  effect: Effect | undefined
}

/** What ws says when there was no close frame (RFC 6455 §7.1.5). */
const CLOSED_WITHOUT_HANDSHAKE = 1006

/**
 * One live socket. Frames take effect in the order they came and are answered in that order, while their commits are
 * shared: the next frame is read while the last one's commit is under way, up to a limit; past it the socket is not read.
 */
export class Session {
  readonly address: string
  readonly protocol: SessionProtocol
  /** Did a page open it? A browser sends an Origin, and answers pings by itself. */
  readonly isBrowser: boolean
  /** ms since 1970. */
  readonly connectedAt = Date.now()
  /** When the socket became a peer's; ms since 1970, undefined before. */
  registeredAt: number | undefined
  /** Set once the socket speaks for a peer. */
  member: Member | undefined
  failedRegistrations = 0
  /** The writing end. */
  readonly outlet: Outlet
  #closeReason: CloseReason | undefined
  readonly #socket: WebSocket
  readonly #hooks: SessionHooks
  readonly #slots: Slot[] = []
  readonly #inbox: { data: Buffer; isBinary: boolean }[] = []
  readonly #deadline: NodeJS.Timeout
  #waiting = false
  #stopped = false
  #paused = false
  #refusedInSecond = 0
  #second: NodeJS.Timeout | undefined
  #heardAt = performance.now()
  /** When a ping of the heartbeat was sent. */
  #askedAt = 0
  #listeners: (() => void)[] = []

  constructor(socket: WebSocket, origin: SessionOrigin, protocol: SessionProtocol, hooks: SessionHooks) {
    this.#socket = socket
    this.outlet = new Outlet(socket, origin.stream)
    this.#hooks = hooks
    this.address = origin.address
    this.isBrowser = origin.isBrowser
    this.protocol = protocol
    this.#deadline = setTimeout(() => this.#giveUpRegistration(), hooks.limits.registrationDeadlineMs)
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    socket.on('pong', (data) => {
      this.#alive()
      this.member?.receipts.pong(data)
    })
    socket.on('close', (code) => this.#closed(code !== CLOSED_WITHOUT_HANDSHAKE))
  }

  get isOpen(): boolean {
    return this.outlet.isOpen
  }

  /** Why we closed the socket; undefined while it is open, and when its end or nobody did. */
  get closeReason(): CloseReason | undefined {
    return this.#closeReason
  }

  /** The socket speaks for a peer from now on. */
  register(member: Member): void {
    clearTimeout(this.#deadline)
    this.member = member
    this.registeredAt = Date.now()
    this.#hooks.registered(this)
  }

  /** Writes frames the peer can do without (`encodeTextFrames`): not to a socket that is behind. */
  notify(frames: Buffer): void {
    if (this.isOpen && !this.outlet.isBehind) this.outlet.writeEncoded(frames)
  }

  /** Takes no further frame; those under way are still answered. */
  stopReading(): void {
    this.#stopped = true
    this.#pause()
  }

  close(reason: CloseReason): void {
    if (this.isOpen) this.#closeReason = reason
    this.#socket.close(CLOSE[reason].code, CLOSE[reason].reason)
    if (this.#paused) this.#socket.resume() // the peer's own close frame has to be read
  }

  /** Ends the connection without the closing handshake. */
  terminate(): void {
    this.#socket.terminate()
  }

  /** Pings the peer; does anything come back within `ms`? Any frame proves life (RFC 6455 §5.5.3). */
  async isAlive(ms: number): Promise<boolean> {
    if (!this.isOpen) return false
    return new Promise((resolve) => {
      const heard = () => {
        clearTimeout(timer)
        resolve(this.isOpen)
      }
      const timer = setTimeout(() => {
        this.#listeners = this.#listeners.filter((listener) => listener !== heard)
        resolve(false)
      }, ms)
      this.#listeners.push(heard)
      this.outlet.ping()
    })
  }

  /** Looked at every second or so: what has waited too long? `now` is performance.now(). */
  tick(now: number, limits: LivenessLimits): void {
    const silentMs = now - this.#heardAt
    const { receipts } = this.member ?? {}
    receipts?.tick(now)
    const isPausedByUs = this.#paused && !this.outlet.isBehind
    if (!this.isOpen || isPausedByUs) return
    const askedAt = Math.max(this.#askedAt, receipts?.pingedAt ?? 0)
    const unanswered = askedAt > this.#heardAt ? now - askedAt : 0
    const stalledMs = now - (receipts?.delivery.waitingSince ?? now)
    if (unanswered > limits.answerMs || stalledMs > limits.stallMs) this.#hooks.unresponsive(this)
    else if (silentMs > limits.heartbeatMs && askedAt <= this.#heardAt) {
      this.#askedAt = now
      this.outlet.ping()
    }
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#alive()
    if (!this.isOpen) return // closed by us: frames that were under way have no effect any more
    if (this.#inbox.length > 0 || this.#isHeld()) {
      this.#inbox.push({ data, isBinary }) // at most what one read of the socket held, see #pause
      this.#pause()
    } else this.#handle(data, isBinary)
  }

  #handle(data: Buffer, isBinary: boolean): void {
    const { protocol } = this
    this.#hooks.frameReceived(data.length)
    try {
      if (isBinary) this.#run(protocol.refuse('binary'))
      else if (data.length > MAX_FRAME_BYTES) this.#run(protocol.refuse('too-large'))
      else this.#run(protocol.handle(data.toString('utf8'), this))
    } catch (error) {
      this.#hooks.failed(error)
      this.#run(protocol.refuse('internal'))
    }
  }

  #run(effect: Effect): void {
    if (effect.kind !== 'wait' && effect.kind !== 'accept' && this.#slots.length === 0) {
      this.#say(effect)
      return
    }
    const slot: Slot = { effect: undefined }
    this.#slots.push(slot)
    this.#fill(slot, effect)
  }

  #fill(slot: Slot, effect: Effect): void {
    if (effect.kind === 'accept') {
      this.#hooks.mailbox.accept(effect.envelope, (acceptance) => this.#fill(slot, effect.answer(acceptance)))
    } else if (effect.kind === 'wait') {
      this.#waiting = true
      effect.until
        .catch((error: unknown) => {
          this.#hooks.failed(error)
          return this.protocol.refuse('internal')
        })
        .then((next) => {
          this.#waiting = false
          this.#fill(slot, next)
          this.#proceed()
        })
    } else {
      slot.effect = effect
      this.#sayInOrder()
    }
  }

  #sayInOrder(): void {
    let next = this.#slots[0]
    while (next?.effect !== undefined) {
      this.#slots.shift()
      this.#say(next.effect)
      next = this.#slots[0]
    }
    if (this.#paused) this.#proceed()
  }

  #say(effect: Effect): void {
    if (effect.kind !== 'answer' && effect.kind !== 'refuse') return
    if (effect.kind === 'refuse') this.#countRefused(effect.code)
    if (effect.frame !== undefined && this.isOpen) this.outlet.write(effect.frame)
    effect.after?.()
    if (this.outlet.isBehind) this.#pause()
  }

  #countRefused(code: string): void {
    this.#hooks.frameRefused(code)
    this.#refusedInSecond += 1
    this.#second ??= setTimeout(() => {
      this.#second = undefined
      this.#refusedInSecond = 0
      this.#proceed()
    }, 1_000)
  }

  /** Is there a reason not to handle another frame yet? */
  #isHeld(): boolean {
    return (
      this.#waiting ||
      this.#stopped ||
      this.#slots.length >= this.#hooks.limits.framesInFlight ||
      this.#refusedInSecond >= this.#hooks.limits.refusedFramesPerSecond ||
      this.outlet.isBehind
    )
  }

  /** Leaves further frames in the peer's own TCP stream. */
  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
    if (this.outlet.isBehind) this.outlet.onDrained(() => this.#proceed())
  }

  /** Handles what waited, then reads the socket again. */
  #proceed(): void {
    while (this.#inbox.length > 0 && this.isOpen && !this.#isHeld()) {
      const { data, isBinary } = this.#inbox.shift()!
      this.#handle(data, isBinary)
    }
    if (!this.#paused || this.#isHeld()) return
    this.#paused = false
    this.#socket.resume()
  }

  #alive(): void {
    this.#heardAt = performance.now()
    if (this.#listeners.length > 0) for (const listener of this.#listeners.splice(0)) listener()
  }

  #giveUpRegistration(): void {
    if (this.#waiting)
      this.#deadline.refresh() // a registration is under way and has a deadline of its own
    else this.close('unregistered')
  }

  #closed(isClean: boolean): void {
    clearTimeout(this.#deadline)
    clearTimeout(this.#second)
    this.#inbox.length = 0
    for (const listener of this.#listeners.splice(0)) listener()
    this.#hooks.closed(this, isClean)
  }
}
