import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Presence } from './presence.ts'
import { Session, type SessionHooks, type SessionProtocol } from './session.ts'

export interface SessionsLimits {
  readonly connections: number
  readonly unregisteredPerAddress: number
  readonly heartbeatMs: number
}

/** Sessions pinged in one go; the others follow within the same beat. */
const BEAT_SLICES = 20

/** Every open socket of this process, registered or not: admission, heartbeat and the end of all. */
export class Sessions {
  readonly #presence: Presence
  readonly #limits: SessionsLimits
  readonly #open = new Set<Session>()
  readonly #unregistered = new Map<string, number>()
  #beat: NodeJS.Timeout | undefined
  #isStopping = false
  #emptied: (() => void) | undefined

  constructor(presence: Presence, limits: SessionsLimits) {
    this.#presence = presence
    this.#limits = limits
  }

  get size(): number {
    return this.#open.size
  }

  /** Why a socket from this address is not let in (an HTTP status), or undefined. Asked before the upgrade. */
  refusal(address: string): 429 | 503 | undefined {
    if (this.#isStopping || this.#open.size >= this.#limits.connections) return 503
    return (this.#unregistered.get(address) ?? 0) >= this.#limits.unregisteredPerAddress ? 429 : undefined
  }

  /** Takes a new socket in. Listens to it before this returns, so no frame is missed. */
  open(
    socket: WebSocket,
    stream: Duplex,
    address: string,
    protocol: SessionProtocol,
    hooks: Omit<SessionHooks, 'registered' | 'closed'>
  ): Session {
    const session = new Session(socket, stream, address, protocol, {
      ...hooks,
      registered: () => this.#count(address, -1),
      closed: (closed) => this.#closed(closed)
    })
    this.#open.add(session)
    this.#count(address, 1)
    this.#beat ??= setInterval(() => this.#pingAll(), this.#limits.heartbeatMs)
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
    clearInterval(this.#beat)
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

  #closed(session: Session): void {
    this.#open.delete(session)
    if (session.member === undefined) this.#count(session.address, -1)
    else {
      session.member.delivery.stop()
      this.#presence.remove(session.member)
    }
    if (this.#open.size > 0) return
    clearInterval(this.#beat)
    this.#beat = undefined
    this.#emptied?.()
  }

  #count(address: string, change: 1 | -1): void {
    const count = (this.#unregistered.get(address) ?? 0) + change
    if (count > 0) this.#unregistered.set(address, count)
    else this.#unregistered.delete(address)
  }

  /** Pings everybody, spread over the beat; who did not answer the last ping is gone. */
  #pingAll(): void {
    const all = [...this.#open]
    const size = Math.ceil(all.length / BEAT_SLICES)
    for (let slice = 0; slice * size < all.length; slice++) {
      const some = all.slice(slice * size, (slice + 1) * size)
      setTimeout(() => beat(some), (slice * this.#limits.heartbeatMs) / BEAT_SLICES / 2).unref()
    }
  }
}

function beat(sessions: readonly Session[]): void {
  for (const session of sessions) {
    if (session.beat()) continue
    session.close('unresponsive')
    session.terminate()
  }
}
