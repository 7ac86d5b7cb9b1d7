import { strict as assert } from 'node:assert'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Meter, Overdrawn } from '../limits/accounts.ts'
import type { Work } from '../limits/prices.ts'
import { CLOSE, type CloseReason } from '../protocol/close-codes.ts'
import { isTooComplex } from '../protocol/complexity.ts'
import { MAX_FRAME_BYTES, MAX_UNREGISTERED_FRAME_BYTES } from '../protocol/frame.ts'
import { Answers, type AnswersOwner } from './answers.ts'
import type { Answer, Effect } from './effect.ts'
import { FlowControl, type FlowControlOwner } from './flow-control.ts'
import { Liveness, type LivenessLimits } from './liveness.ts'
import { Overuse } from './overuse.ts'
import { Probes } from './probes.ts'
import { RepliesFirst } from './replies-first.ts'
import { SocketReader, type SocketReaderOwner } from './socket-reader.ts'
import { SocketWriter, type SocketWriterOwner } from './socket-writer.ts'
import { OneTurn, type Turns } from './turns.ts'
import { UnfinishedMessage } from './unfinished-message.ts'

/** What a registered session is to its peer: it is told what happens to the socket. */
export interface SessionMember {
  readonly network: string
  readonly peer: string
  /** A pong came, asked for or not. */
  pong(data: Buffer): void
  /** Outgoing bytes went to the system: there is room again. */
  drained(): void
  /** About once a second. `now` is that of the clock of all sessions. */
  tick(now: number): void
  /** Since when something it was sent has not been receipted, by that clock; undefined: nothing is. */
  readonly waitingSince: number | undefined
  /** The socket is gone; `isClean`: after a closing handshake (RFC 6455 §7.1.4). */
  ended(isClean: boolean): void
}

/** What a protocol makes of frames. `M`: what its registered sessions are. */
export interface SessionProtocol<M extends SessionMember = SessionMember> {
  readonly name: 'signaling' | 'l2ps'
  /** Decides what a text frame leads to; never throws for bad input. */
  handle(text: string, session: Session<M>): Effect
  /** Answers to what cannot be handled at all. `data`: the frame. */
  refuse(
    what: 'binary' | 'too-large' | 'too-large-unregistered' | 'too-complex' | 'too-much' | 'internal',
    data: Buffer
  ): Answer
}

/** Where a socket comes from. */
export interface SessionOrigin {
  readonly stream: Duplex
  readonly address: string
  readonly isBrowser: boolean
  /** What it pays with. */
  readonly meter: Meter
}

export interface SessionLimits {
  readonly framesInFlight: number
  readonly refusedFramesPerSecond: number
  readonly registrationDeadlineMs: number
  /** Longest a message may take from its first byte to its last. */
  readonly messageDeadlineMs: number
}

/** What all sessions of a protocol have in common. */
export interface SessionHooks<M extends SessionMember = SessionMember> {
  readonly limits: SessionLimits
  readonly turns: Turns
  /** The clock of all sessions, in ms. */
  clock(): number
  frameReceived(bytes: number): void
  /** A frame of a socket that has been quiet for seconds was answered after so many ms. */
  quietAnswered(ms: number): void
  frameRefused(code: string): void
  /** It has used up a budget and is read more slowly. */
  slowed(why: Overdrawn): void
  /** A frame failed for a reason of ours. */
  failed(error: unknown): void
  /** The socket speaks for a peer now. */
  registered(session: Session<M>, member: M): void
  /** The socket is gone; `isClean`: after a closing handshake. */
  closed(session: Session<M>, isClean: boolean): void
}

type State = 'connected' | 'registered' | 'closing' | 'closed'

/** Which states follow a state, see `Session`. */
const FOLLOWS: Readonly<Record<State, readonly State[]>> = {
  connected: ['registered', 'closing', 'closed'],
  registered: ['closing', 'closed'],
  closing: ['closed'],
  closed: []
}

/** Answers larger than this leave the process before the next frame is handled, in characters. */
const LARGE_ANSWER = 16_384

/** Closed for what it sent: nothing more of that is read, and the WebSocket layer cuts it off a moment later. */
const OVERDONE: ReadonlySet<CloseReason> = new Set(['tooMuch', 'tooLarge', 'tooSlow'])

/** What ws says when there was no close frame (RFC 6455 §7.1.5). */
const CLOSED_WITHOUT_HANDSHAKE = 1006

/**
 * One live socket. Frames take effect in the order they came and are answered in that order, while their commits are
 * shared: the next frame is read while the last one's commit is under way, up to a limit. Why a socket is not read is
 * written in flow-control.ts.
 *
 *     connected ──register()──► registered
 *         │ close()                 │ close()
 *         ▼                         ▼
 *      closing: frames that come now have no effect, answers under way are not written
 *         │ the socket is closed (from any state)
 *         ▼
 *      closed
 */
export class Session<M extends SessionMember = SessionMember>
  implements SocketReaderOwner, FlowControlOwner, SocketWriterOwner, AnswersOwner
{
  readonly address: string
  readonly protocol: SessionProtocol<M>
  /** Did a page open it? A browser sends an Origin, and answers pings by itself. */
  readonly isBrowser: boolean
  /** ms since 1970. */
  readonly connectedAt = Date.now()
  /** When the socket became a peer's; ms since 1970, undefined before. */
  registeredAt: number | undefined
  failedRegistrations = 0
  readonly writer: SocketWriter
  /** What the socket pays with. */
  readonly meter: Meter
  readonly #stream: Duplex
  #state: State = 'connected'
  #member: M | undefined
  #closeReason: CloseReason | undefined
  #repliesFirst: RepliesFirst | undefined
  readonly #socket: WebSocket
  readonly #hooks: SessionHooks<M>
  readonly #flow: FlowControl
  readonly #reader: SocketReader
  readonly #unfinished = new UnfinishedMessage()
  readonly #answers: Answers
  readonly #liveness: Liveness
  #refusedInSecond = 0
  /** Large answers that have not left this process. */
  #unwritten = 0
  #second: NodeJS.Timeout | undefined
  /** By the clock of all sessions. */
  readonly #openedAt: number
  /** Most sockets never use up their budget, and nobody asks whether their peers live. */
  #overuse: Overuse | undefined
  #probes: Probes | undefined

  constructor(socket: WebSocket, origin: SessionOrigin, protocol: SessionProtocol<M>, hooks: SessionHooks<M>) {
    this.#socket = socket
    this.#hooks = hooks
    this.address = origin.address
    this.meter = origin.meter
    this.isBrowser = origin.isBrowser
    this.protocol = protocol
    this.#stream = origin.stream
    this.#openedAt = hooks.clock()
    this.#reader = new SocketReader(this, { socket, stream: origin.stream, turns: hooks.turns })
    this.#flow = new FlowControl(this, this.#reader)
    this.writer = new SocketWriter(this, socket, origin.stream)
    this.#liveness = new Liveness(this.#flow, this.writer, this.#openedAt)
    this.#answers = new Answers(this, this.#flow, hooks.limits.framesInFlight)
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    socket.on('ping', (data: Buffer) => this.#control(data))
    socket.on('pong', (data) => {
      this.#control(data)
      this.#probes?.pong(data)
      this.#repliesFirst?.pong()
      this.#member?.pong(data)
    })
    socket.on('close', (code) => this.#closed(code !== CLOSED_WITHOUT_HANDSHAKE))
  }

  get isOpen(): boolean {
    return this.#state === 'connected' || this.#state === 'registered'
  }

  /** Our end of the connection; a stream that is no TCP connection has no port, and is not of this machine. */
  get listener(): { readonly port: number | undefined; readonly isLoopback: boolean; readonly isEncrypted: boolean } {
    const { localAddress = '', localPort: port } = this.#stream as Partial<Socket>
    const isLoopback = localAddress === '::1' || /^(::ffff:)?127\./.test(localAddress)
    return { port, isLoopback, isEncrypted: 'encrypted' in this.#stream }
  }

  /** Who it speaks for; undefined before its registration. */
  get member(): M | undefined {
    return this.#member
  }

  /** Why we closed the socket; undefined while it is open, and when the peer closed it or the connection broke. */
  get closeReason(): CloseReason | undefined {
    return this.#closeReason
  }

  /** Pays for work that is about to be done for it; what it cannot pay for delays its next frames. */
  pay(work: Work, amount?: number): void {
    this.meter.pay(work, amount)
  }

  /** The socket speaks for a peer from now on. */
  register(member: M): void {
    this.#become('registered')
    this.#member = member
    this.registeredAt = Date.now()
    this.#hooks.registered(this, member)
  }

  /** Is it treated as an old client, see replies-first.ts? */
  get putsRepliesFirst(): boolean {
    return this.#repliesFirst !== undefined
  }

  /** From now on this session is treated as an old client. */
  putRepliesFirst(): void {
    this.#repliesFirst = new RepliesFirst(() => this.#answers.isPending)
    this.ping()
  }

  /** The way to the peer and back took so long, in ms. */
  measured(roundTripMs: number): void {
    this.#repliesFirst?.measured(roundTripMs)
  }

  /** Runs what sends notifications: now, or, for an old client, when it is quiet. In the order of the calls. */
  whenQuiet(send: () => void): void {
    if (this.#repliesFirst === undefined) send()
    else this.#repliesFirst.notify(send)
  }

  /** Sends a notification: a frame, or the bytes of one (`encodeTextFrames`). `written`: they were handed to the system. */
  push(frame: string | Buffer, written?: (error?: Error | null) => void): void {
    if (this.#repliesFirst === undefined) this.#write(frame, written)
    else this.#repliesFirst.notify(() => this.#write(frame, written))
  }

  /** Sends frames the peer can do without: not to a socket that is full. */
  notify(frames: Buffer): void {
    this.whenQuiet(() => {
      if (!this.writer.isFull) this.#write(frames)
    })
  }

  ping(payload?: Buffer): void {
    this.#liveness.asked(this.#hooks.clock())
    this.writer.ping(payload)
  }

  /** Takes no further frame; those under way are still answered. */
  stopReading(): void {
    this.#flow.hold('stopping')
  }

  close(reason: CloseReason): void {
    if (this.isOpen) {
      this.#become('closing')
      this.#closeReason = reason
    }
    this.#socket.close(CLOSE[reason].code, CLOSE[reason].reason)
    if (OVERDONE.has(reason)) this.#reader.stop()
    else this.#flow.close() // the peer's own close frame is waited for
  }

  /** Ends the connection without the closing handshake. */
  terminate(): void {
    this.#socket.terminate()
  }

  /** Pings the peer; is this ping answered within `ms`? */
  async isAlive(ms: number): Promise<boolean> {
    if (!this.isOpen) return false
    this.#probes ??= new Probes()
    const answer = this.#probes.ask((payload) => this.ping(payload), ms)
    this.#flow.listen()
    return (await answer) && this.isOpen
  }

  /** Called about every second: checks what has waited too long. `now` is the clock of all sessions. */
  tick(now: number, limits: LivenessLimits): void {
    this.#member?.tick(now)
    if (!this.isOpen) return
    if (this.#member === undefined && this.#isOverdue(now)) this.close('unregistered')
    else if (this.#waitsForTurn) return
    else if (this.#isUnfinished(now)) this.close('tooSlow')
    else if (this.#liveness.isUnresponsive(now, this.#member?.waitingSince, limits)) {
      this.close('unresponsive')
      this.terminate()
    } else if (this.#liveness.needsPing(now, limits)) this.ping()
  }

  // What the reader of its socket tells it.

  /** Bytes were handed to the WebSocket layer. */
  fed(bytes: number): void {
    this.#heard() // a part of a frame, too: while that comes, no pong can
    this.#flow.pieceEnded()
    this.#unfinished.fed(bytes, this.#hooks.clock())
    if (this.#member === undefined && this.isOpen && this.#unfinished.bytes > MAX_UNREGISTERED_FRAME_BYTES) {
      this.#refuseLarge()
    }
  }

  /** First it is read more slowly, then told, then closed: that only for what the socket did itself. */
  overdrawn(why: Overdrawn): void {
    if (!this.isOpen) return
    if (!this.#flow.isHeldFor('rate')) this.#hooks.slowed(why)
    this.#flow.hold('rate')
    if (why === 'shared') return
    this.#overuse ??= new Overuse()
    const due = this.#overuse.again(this.#hooks.clock())
    if (due === 'close') this.close('tooMuch')
    else if (due === 'tell') this.say(this.protocol.refuse('too-much', Buffer.alloc(0)))
  }

  recovered(): void {
    this.#flow.release('rate')
  }

  // What the flow of its frames asks of it.

  handle(data: Buffer, isBinary: boolean): void {
    if (!this.isOpen) return
    this.#hooks.frameReceived(data.length)
    this.#repliesFirst?.called()
    const since = this.meter.isLongQuiet ? performance.now() : undefined
    this.#answers.carryOut(this.#effectOf(data, isBinary), data, since)
  }

  /** Kept frames are handled in turn; what is kept still waits for another turn by itself. */
  inTurn(proceed: () => void): void {
    this.#hooks.turns.wait(new OneTurn(this.meter, proceed))
  }

  rests(): boolean {
    return this.isOpen && this.#reader.rests()
  }

  // What its writer tells it.

  filled(): void {
    this.#flow.hold('writer')
  }

  drained(): void {
    this.#flow.release('writer')
    this.#member?.drained()
  }

  // What its answers come to.

  say(answer: Answer): void {
    if (answer.refusal !== undefined) this.#countRefused(answer.refusal)
    const { frame } = answer
    if (frame !== undefined && this.isOpen) {
      if (answer.isNotification && typeof frame === 'string') this.push(frame)
      else {
        this.#writeAnswer(frame)
        this.#repliesFirst?.replied(answer.isFollowed === true)
      }
    }
    answer.after?.()
  }

  failed(error: unknown, data: Buffer): Answer {
    this.#hooks.failed(error)
    return this.protocol.refuse('internal', data)
  }

  took(ms: number): void {
    this.#hooks.quietAnswered(ms)
  }

  /** What came of it is not handled yet: its answer may be among that, so its silence is ours. */
  get #waitsForTurn(): boolean {
    return this.#reader.isWaiting || this.#flow.isWaiting
  }

  /** A registration that is under way has a deadline of its own, and one that waits for its turn has come in time. */
  #isOverdue(now: number): boolean {
    if (now - this.#openedAt <= this.#hooks.limits.registrationDeadlineMs) return false
    const waits = this.#waitsForTurn && this.meter.rank === 'visitor'
    return !waits && !this.#flow.isHeldFor('answer')
  }

  #isUnfinished(now: number): boolean {
    const { since } = this.#unfinished
    const isOurs = this.#flow.isHeld || this.#flow.isPaused // the rest of it is not read
    return since !== undefined && !isOurs && now - since > this.#hooks.limits.messageDeadlineMs
  }

  #refuseLarge(): void {
    this.say(this.protocol.refuse('too-large-unregistered', Buffer.alloc(0)))
    this.close('tooLarge')
  }

  #control(data: Buffer): void {
    this.meter.pay('control')
    this.#unfinished.controlEnded(data.length)
    this.#heard()
  }

  #become(state: State): void {
    assert.ok(FOLLOWS[this.#state].includes(state), `a session that is ${this.#state} cannot become ${state}`)
    this.#state = state
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.meter.pay('frame')
    this.#heard()
    this.#unfinished.messageEnded()
    if (this.isOpen) this.#flow.receive(data, isBinary)
  }

  #effectOf(data: Buffer, isBinary: boolean): Effect {
    const { protocol } = this
    try {
      if (isBinary) return protocol.refuse('binary', data)
      if (data.length > MAX_FRAME_BYTES) return protocol.refuse('too-large', data)
      if (isTooComplex(data)) return protocol.refuse('too-complex', data)
      return protocol.handle(data.toString('utf8'), this)
    } catch (error) {
      return this.failed(error, data)
    }
  }

  /** A large answer is out of this process before the next frame is handled: who does not read asks for no more. */
  #writeAnswer(frame: string | readonly Buffer[]): void {
    const isText = typeof frame === 'string'
    const length = isText ? frame.length : frame.reduce((sum, piece) => sum + piece.length, 0)
    this.meter.pay('answered', length / 1_024)
    const written = length > LARGE_ANSWER ? this.#holdUntilWritten() : undefined
    if (isText) this.writer.write(frame, written)
    else for (const [at, piece] of frame.entries()) this.#write(piece, at === frame.length - 1 ? written : undefined)
  }

  /** Handles no further frame until what is returned is called. */
  #holdUntilWritten(): () => void {
    this.#unwritten += 1
    this.#flow.hold('unwritten')
    return () => {
      this.#unwritten -= 1
      if (this.#unwritten === 0) this.#flow.release('unwritten')
    }
  }

  #write(frame: string | Buffer, written?: (error?: Error | null) => void): void {
    if (!this.isOpen) return
    if (typeof frame === 'string') this.writer.write(frame, written)
    else this.writer.writeEncoded(frame, written)
  }

  #countRefused(code: string): void {
    this.#hooks.frameRefused(code)
    this.meter.pay('refused')
    this.#refusedInSecond += 1
    if (this.#refusedInSecond >= this.#hooks.limits.refusedFramesPerSecond) this.#flow.hold('refused')
    this.#second ??= setTimeout(() => {
      this.#second = undefined
      this.#refusedInSecond = 0
      this.#flow.release('refused')
    }, 1_000)
  }

  #heard(): void {
    this.#liveness.heard(this.#hooks.clock())
  }

  #closed(isClean: boolean): void {
    this.#become('closed')
    clearTimeout(this.#second)
    this.#repliesFirst?.stop()
    this.#flow.close()
    this.#reader.drop()
    this.#probes?.stop()
    this.#hooks.closed(this, isClean)
  }
}
