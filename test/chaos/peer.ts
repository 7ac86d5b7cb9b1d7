import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Dialect, Frame, PeerSpec } from './dialects.ts'
import type { Outcome, PeerEvent } from './history.ts'
import type { Random } from './random.ts'

export interface PeerOptions {
  readonly url: string
  readonly spec: PeerSpec
  readonly dialect: Dialect
  /** Addresses it writes to. */
  readonly others: readonly string[]
  readonly random: Random
  emit(event: PeerEvent): void
}

const TICK_MS = 25
/** Messages under way at once: enough to share commits. */
const IN_FLIGHT = 8
/** How likely a message is in one tick. */
const SEND_CHANCE = 0.5
/** A connection from which nothing came this long is given up, in ms: the server pings every second. */
const DEAD_MS = 5_000
/** Longest an answer may take on a connection that lives, in ms: two database deadlines of a second, and some patience. */
const SILENCE_MS = 5_000
/** A connection lives when something came within this time, in ms. */
const LIVING_MS = 3_000

interface Pending {
  readonly id: string
  readonly to: string
  /** Ticks since it was sent; time in which this process stood still does not count. */
  ticks: number
  outcome: Outcome | undefined
  words: string | undefined
}

/** One client: comes back whenever it is cut off, sends at random, and tells everything it hears. */
export class ChaosPeer {
  readonly #options: PeerOptions
  readonly #pending: Pending[] = []
  /** L2PS: sent without an answer, to be sent again under the same hash. */
  readonly #again: { id: string; to: string }[] = []
  #socket: WebSocket | undefined
  #registered = false
  #session = 0
  #sent = 0
  #heardAt = 0
  #sending = true
  #restless: boolean
  #ended = false
  readonly #alive: Promise<void>
  readonly #ticking: NodeJS.Timeout

  constructor(options: PeerOptions) {
    this.#options = options
    this.#restless = options.spec.restless
    this.#alive = this.#live()
    this.#ticking = setInterval(() => this.#tick(), TICK_MS)
  }

  /** Is it registered, on a connection that lives? */
  get isRegistered(): boolean {
    return this.#registered && performance.now() - this.#heardAt < LIVING_MS
  }

  /** Has everything it sent been answered, as far as it can be? */
  get isSettled(): boolean {
    return this.#pending.length === 0 && this.#again.length === 0
  }

  /** Sends nothing new, and stays; what was not answered is still sent again. */
  stopSending(): void {
    this.#sending = false
    this.#restless = false
  }

  set restless(yes: boolean) {
    this.#restless = yes
  }

  /** Closes the connection with a handshake; it comes back by itself. */
  async leave(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined) return
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.close()
    await closed
  }

  async end(): Promise<void> {
    this.#ended = true
    clearInterval(this.#ticking)
    this.#socket?.terminate()
    await this.#alive
  }

  async #live(): Promise<void> {
    while (!this.#ended) {
      await this.#connect()
      const { random } = this.#options
      await delay(this.#restless ? random.between(200, 1_500) : random.between(20, 200))
    }
  }

  /** Resolves when the connection is over. */
  async #connect(): Promise<void> {
    const { url, dialect } = this.#options
    const frame = JSON.stringify(await dialect.register())
    const socket = new WebSocket(`${url}${dialect.path}`, { perMessageDeflate: false, handshakeTimeout: DEAD_MS })
    this.#socket = socket
    this.#session += 1
    this.#heardAt = performance.now()
    socket.on('open', () => socket.send(frame))
    socket.on('error', () => {}) // told by `close`
    socket.on('ping', () => this.#heard())
    socket.on('message', (data) => {
      this.#heard()
      this.#take(dialect.read(JSON.parse(data.toString()) as Frame), socket)
    })
    await new Promise((resolve) => socket.once('close', resolve))
    this.#registered = false
    this.#socket = undefined
    this.#giveUpPending()
  }

  #heard(): void {
    this.#heardAt = performance.now()
  }

  #take(reading: ReturnType<Dialect['read']>, socket: WebSocket): void {
    const { emit, dialect, spec } = this.#options
    if (reading.kind === 'registered') this.#registered = true
    else if (reading.kind === 'turned away') socket.close()
    else if (reading.kind === 'delivery') {
      const { id, from } = reading
      emit({ kind: 'delivery', at: Date.now(), id, from, to: dialect.address, session: this.#session })
      if (spec.acks) socket.send(JSON.stringify(reading.ack))
    } else if (reading.kind === 'answer' && reading.id !== undefined) {
      this.#settle(
        this.#pending.findIndex(({ id }) => id === reading.id),
        reading.outcome,
        reading.words
      )
    } else if (reading.kind === 'answer') {
      const oldest = this.#pending[0]
      if (oldest === undefined) return
      const isSecond = oldest.outcome !== undefined
      oldest.outcome = isSecond ? 'absurd' : reading.outcome
      oldest.words = reading.words
    } else if (reading.kind === 'settled') this.#settle(0, this.#pending[0]?.outcome ?? 'acknowledged')
  }

  #settle(index: number, outcome: Outcome, words?: string): void {
    const [pending] = index < 0 ? [] : this.#pending.splice(index, 1)
    if (pending === undefined) return
    const { id, to } = pending
    this.#options.emit({ kind: 'answer', at: Date.now(), id, outcome, words: words ?? pending.words })
    if (outcome === 'unknown' && this.#options.spec.protocol === 'l2ps') this.#again.push({ id, to })
  }

  #giveUpPending(): void {
    while (this.#pending.length > 0) this.#settle(0, this.#pending[0]!.outcome ?? 'unknown', 'the connection ended')
  }

  #tick(): void {
    const { random, emit, spec } = this.#options
    const silentMs = performance.now() - this.#heardAt
    if (this.#socket !== undefined && silentMs > DEAD_MS) this.#socket.terminate()
    for (const pending of this.#pending) {
      pending.ticks += 1
      const isLate = pending.ticks === Math.ceil(SILENCE_MS / TICK_MS) && silentMs < LIVING_MS
      if (isLate) emit({ kind: 'silence', at: Date.now(), id: pending.id })
    }
    if (!this.#registered) return
    if (this.#restless && random.chance(0.02)) {
      emit({ kind: 'left', at: Date.now(), peer: this.#options.dialect.address })
      if (random.chance(0.5)) this.#socket?.terminate()
      else this.#socket?.close()
    } else if (this.#pending.length < IN_FLIGHT && random.chance(SEND_CHANCE)) this.#send(spec.name)
  }

  #send(name: string): void {
    const { random, others, emit, dialect } = this.#options
    if (this.#socket?.readyState !== WebSocket.OPEN) return
    const again = this.#again.shift()
    if (again === undefined && !this.#sending) return
    const { id, to } = again ?? { id: `${name}-${++this.#sent}`, to: random.pick(others) }
    emit({ kind: 'attempt', at: Date.now(), id, from: dialect.address, to })
    this.#pending.push({ id, to, ticks: 0, outcome: undefined, words: undefined })
    for (const frame of dialect.send(id, to)) this.#socket.send(JSON.stringify(frame))
  }
}
