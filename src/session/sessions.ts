import type { WebSocket } from 'ws'
import type { CloseReason } from '../protocol/close-codes.ts'
import { AwakeClock } from '../util/awake-clock.ts'
import { Slices } from '../util/slices.ts'
import type { LivenessLimits } from './liveness.ts'
import { Session, type SessionHooks, type SessionMember, type SessionOrigin, type SessionProtocol } from './session.ts'

export interface SessionsLimits extends LivenessLimits {
  readonly connections: number
  readonly unregisteredPerAddress: number
}

/** What a protocol's plugin brings; the rest is this file's. */
export type ProtocolHooks = Omit<SessionHooks, 'clock' | 'registered' | 'closed'>

/** Every open socket of this process, registered or not: admission, liveness and shutdown. */
export class Sessions<M extends SessionMember = SessionMember> {
  readonly clock = new AwakeClock()
  readonly #limits: SessionsLimits
  readonly #onClosed: (session: Session<M>, isClean: boolean) => void
  readonly #open = new Set<Session<M>>()
  readonly #unregistered = new Map<string, number>()
  readonly #slices = new Slices()
  #isTicking = false
  #isStopping = false
  #emptied: (() => void) | undefined

  constructor(limits: SessionsLimits, onClosed: (session: Session<M>, isClean: boolean) => void = () => {}) {
    this.#limits = limits
    this.#onClosed = onClosed
    this.clock.onStep((now) => {
      if (!this.#isTicking) this.#slices.run(this.#tick(now))
    })
  }

  get size(): number {
    return this.#open.size
  }

  /** Every open socket, registered or not. */
  all(): Iterable<Session<M>> {
    return this.#open
  }

  /** Why a socket from this address is not let in (an HTTP status), or undefined. Asked before the upgrade. */
  refusal(address: string): 429 | 503 | undefined {
    if (this.#isStopping || this.#open.size >= this.#limits.connections) return 503
    return (this.#unregistered.get(address) ?? 0) >= this.#limits.unregisteredPerAddress ? 429 : undefined
  }

  /** Takes a new socket in. Listens to it before this returns, so no frame is missed. */
  open(socket: WebSocket, origin: SessionOrigin, protocol: SessionProtocol<M>, hooks: ProtocolHooks): Session<M> {
    const session: Session<M> = new Session(socket, origin, protocol, {
      ...hooks,
      clock: () => this.clock.now,
      registered: () => this.#count(origin.address, -1),
      closed: (isClean) => this.#closed(session, isClean)
    })
    this.#open.add(session)
    this.#count(origin.address, 1)
    return session
  }

  /** Reads no further frame and accepts no further socket: what is under way can be finished. */
  stopReading(): void {
    this.#isStopping = true
    for (const session of this.#open) session.stopReading()
  }

  /** Closes every socket; new ones are let in. */
  dismissAll(reason: CloseReason): void {
    for (const session of this.#open) session.close(reason)
  }

  /** Closes every socket with 1001 and waits until they are gone, at most `ms`; those left are cut off. */
  async closeAll(ms: number): Promise<void> {
    this.#isStopping = true
    this.clock.close()
    if (this.#open.size === 0) return
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
    for (const session of this.#open) session.close('goingAway')
    const timer = setTimeout(() => {
      for (const session of this.#open) session.terminate()
    }, ms)
    await emptied
    clearTimeout(timer)
  }

  /** In slices: what a step has to look at and to ping grows with the sockets. */
  *#tick(now: number): Generator<void> {
    this.#isTicking = true
    for (const session of this.#open) {
      session.tick(now, this.#limits)
      yield
    }
    this.#isTicking = false
  }

  #closed(session: Session<M>, isClean: boolean): void {
    this.#open.delete(session)
    this.#onClosed(session, isClean)
    if (session.member === undefined) this.#count(session.address, -1)
    else session.member.ended(isClean)
    if (this.#open.size === 0) this.#emptied?.()
  }

  #count(address: string, change: 1 | -1): void {
    const count = (this.#unregistered.get(address) ?? 0) + change
    if (count > 0) this.#unregistered.set(address, count)
    else this.#unregistered.delete(address)
  }
}
