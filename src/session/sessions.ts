import { setTimeout as delay } from 'node:timers/promises'
import type { WebSocket } from 'ws'
import { Accounts } from '../limits/accounts.ts'
import { addressKey } from '../limits/address.ts'
import type { Rates } from '../limits/prices.ts'
import type { CloseReason } from '../protocol/close-codes.ts'
import { AwakeClock } from '../util/awake-clock.ts'
import { Slices } from '../util/slices.ts'
import { Handshakes } from './handshakes.ts'
import type { LivenessLimits } from './liveness.ts'
import { RequestReaders } from './request-readers.ts'
import { Session, type SessionHooks, type SessionMember, type SessionOrigin, type SessionProtocol } from './session.ts'
import { Turns } from './turns.ts'

export interface SessionsLimits extends LivenessLimits {
  readonly connections: number
  readonly unregisteredPerAddress: number
  /** Sockets of one address, registered or not. */
  readonly perAddress: number
  readonly rates: Rates
}

/** Longest a handshake waits because of others from its address, in ms. */
const LONGEST_WAIT_MS = 1_000

/** What a protocol's plugin brings; the rest is this file's. */
export type ProtocolHooks = Omit<SessionHooks, 'clock' | 'turns' | 'quietAnswered' | 'registered' | 'closed'>

/** Every open socket of this process, registered or not: admission, liveness and shutdown. */
export class Sessions<M extends SessionMember = SessionMember> {
  readonly clock = new AwakeClock()
  /** Read in the same turns as sockets. */
  readonly requests: RequestReaders
  readonly #limits: SessionsLimits
  readonly #onClosed: (session: Session<M>, isClean: boolean) => void
  readonly #open = new Set<Session<M>>()
  readonly #accounts: Accounts
  readonly #turns: Turns
  readonly #handshakes = new Handshakes()
  /** By address, see `addressKey`. */
  readonly #unregistered = new Map<string, number>()
  readonly #ofAddress = new Map<string, number>()
  readonly #slices = new Slices()
  #isTicking = false
  #isStopping = false
  #emptied: (() => void) | undefined

  constructor(limits: SessionsLimits, onClosed: (session: Session<M>, isClean: boolean) => void = () => {}) {
    this.#limits = limits
    this.#accounts = new Accounts(limits.rates)
    this.#turns = new Turns(this.#accounts.noisy)
    this.requests = new RequestReaders(this.#accounts, this.#turns)
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

  /** Why a socket from this address is not let in, or undefined. Asked before the upgrade. */
  refusal(address: string | undefined): 'full' | 'address' | 'unregistered' | undefined {
    if (this.#isStopping || this.#open.size >= this.#limits.connections) return 'full'
    const key = addressKey(address)
    if ((this.#ofAddress.get(key) ?? 0) >= this.#limits.perAddress) return 'address'
    return (this.#unregistered.get(key) ?? 0) >= this.#limits.unregisteredPerAddress ? 'unregistered' : undefined
  }

  /** Handshakes that wait for their turn. */
  get waiting(): number {
    return this.#handshakes.waiting
  }

  /** What all noisy sockets together may ask for, in cores; ten: no limit. */
  get noisyLimit(): number {
    return this.#accounts.noisy.cores(performance.now())
  }

  /**
   * Resolves when a handshake from this address may go on: later, if connections from there used up its budget. A number: it
   * may not, since too many come at once, and may come back after so many seconds.
   */
  async turn(address: string | undefined): Promise<number | undefined> {
    const ms = this.#accounts.arrivalMs(address)
    if (ms > 0) await delay(Math.min(ms, LONGEST_WAIT_MS))
    return this.#handshakes.turn(addressKey(address), ms === 0)
  }

  /** What every socket of a protocol is opened with. */
  hooksOf(hooks: ProtocolHooks): SessionHooks<M> {
    return {
      ...hooks,
      turns: this.#turns,
      quietAnswered: (ms) => this.#accounts.noisy.answered(ms, performance.now()),
      clock: () => this.clock.now,
      registered: (session, member) => this.#registered(session, member),
      closed: (session, isClean) => this.#closed(session, isClean)
    }
  }

  /** Takes a new socket in. Listens to it before this returns, so no frame is missed. */
  open(
    socket: WebSocket,
    { stream, address, isBrowser }: Omit<SessionOrigin, 'meter'>,
    protocol: SessionProtocol<M>,
    hooks: SessionHooks<M>
  ): Session<M> {
    const key = addressKey(address)
    const meter = this.#accounts.meter(address)
    const session = new Session(socket, { stream, address, isBrowser, meter }, protocol, hooks)
    this.#open.add(session)
    count(this.#unregistered, key, 1)
    count(this.#ofAddress, key, 1)
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

  #registered({ address, meter }: Session<M>, { network, peer }: M): void {
    count(this.#unregistered, addressKey(address), -1)
    meter.register(this.#accounts.ofMember(network, peer))
  }

  #closed(session: Session<M>, isClean: boolean): void {
    this.#open.delete(session)
    this.#onClosed(session, isClean)
    const key = addressKey(session.address)
    count(this.#ofAddress, key, -1)
    if (session.member === undefined) count(this.#unregistered, key, -1)
    else session.member.ended(isClean)
    if (this.#open.size === 0) this.#emptied?.()
  }
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + change
  if (sum > 0) counts.set(key, sum)
  else counts.delete(key)
}
