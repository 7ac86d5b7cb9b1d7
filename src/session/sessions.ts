import type { WebSocket } from 'ws'
import type { Presence } from '../presence/registry.ts'
import { type LivenessLimits, Session, type SessionHooks, type SessionOrigin, type SessionProtocol } from './session.ts'

export interface SessionsLimits extends LivenessLimits {
  readonly connections: number
  readonly unregisteredPerAddress: number
}

/** What a protocol's plugin brings; the rest is this file's. */
export type ProtocolHooks = Omit<SessionHooks, 'unresponsive' | 'registered' | 'closed'>

/** How often every session is looked at, in ms. */
const TICK_MS = 1_000

/** Every open socket of this process, registered or not: admission, heartbeat and the end of all. */
export class Sessions {
  readonly #presence: Presence
  readonly #limits: SessionsLimits
  readonly #onClosed: (session: Session, isClean: boolean) => void
  readonly #open = new Set<Session>()
  readonly #unregistered = new Map<string, number>()
  #ticking: NodeJS.Timeout | undefined
  #isStopping = false
  #emptied: (() => void) | undefined

  constructor(
    presence: Presence,
    limits: SessionsLimits,
    onClosed: (session: Session, isClean: boolean) => void = () => {}
  ) {
    this.#presence = presence
    this.#limits = limits
    this.#onClosed = onClosed
  }

  get size(): number {
    return this.#open.size
  }

  /** Every open socket, registered or not. */
  all(): Iterable<Session> {
    return this.#open
  }

  /** Why a socket from this address is not let in (an HTTP status), or undefined. Asked before the upgrade. */
  refusal(address: string): 429 | 503 | undefined {
    if (this.#isStopping || this.#open.size >= this.#limits.connections) return 503
    return (this.#unregistered.get(address) ?? 0) >= this.#limits.unregisteredPerAddress ? 429 : undefined
  }

  /** Takes a new socket in. Listens to it before this returns, so no frame is missed. */
  open(socket: WebSocket, origin: SessionOrigin, protocol: SessionProtocol, hooks: ProtocolHooks): Session {
    const session = new Session(socket, origin, protocol, {
      ...hooks,
      unresponsive: (silent) => this.#giveUp(silent),
      registered: () => this.#count(origin.address, -1),
      closed: (closed, isClean) => this.#closed(closed, isClean)
    })
    this.#open.add(session)
    this.#count(origin.address, 1)
    this.#ticking ??= setInterval(() => this.#tick(), TICK_MS)
    return session
  }

  /** Reads no further frame from anybody, and lets nobody in: what is under way can be finished. */
  stopReading(): void {
    this.#isStopping = true
    for (const session of this.#open) session.stopReading()
  }

  /** Closes every socket with 1001 and waits until they are gone, at most `ms`; those left are cut off. */
  async closeAll(ms: number): Promise<void> {
    this.#isStopping = true
    clearInterval(this.#ticking)
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

  #closed(session: Session, isClean: boolean): void {
    this.#open.delete(session)
    this.#onClosed(session, isClean)
    if (session.member === undefined) this.#count(session.address, -1)
    else {
      session.member.receipts.end(isClean)
      this.#presence.remove(session.member)
    }
    if (this.#open.size > 0) return
    clearInterval(this.#ticking)
    this.#ticking = undefined
    this.#emptied?.()
  }

  #count(address: string, change: 1 | -1): void {
    const count = (this.#unregistered.get(address) ?? 0) + change
    if (count > 0) this.#unregistered.set(address, count)
    else this.#unregistered.delete(address)
  }

  #tick(): void {
    const now = performance.now()
    for (const session of this.#open) session.tick(now, this.#limits)
  }

  /** What it was sent and did not receipt stays in its mailbox. */
  #giveUp(session: Session): void {
    session.close('unresponsive')
    session.terminate()
  }
}
