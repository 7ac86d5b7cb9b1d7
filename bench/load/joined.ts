import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { BenchPeer, Protocol } from '../protocols/protocol.ts'
import { type Quantiles, quantiles } from '../statistics.ts'

const TEXT = { binary: false }
/** Longest from the first byte of a connection to the reply to its registration, in ms. */
const REPLY_MS = 60_000
const STATES = ['connecting', 'open', 'closing', 'closed'] as const

export interface JoinOptions {
  readonly hear?: ((frame: Buffer) => void) | undefined
  /** The local address to connect from: each has so many ports. */
  readonly from?: string | undefined
  /** Where to, if not where the others go. */
  readonly url?: string | undefined
}

export class JoinFailed extends Error {
  override name = 'JoinFailed'
  /** Seconds that the server asked to wait, with its refusal; undefined: it did not refuse. */
  readonly retryAfter: number | undefined

  constructor(message: string, retryAfter: number | undefined) {
    super(message)
    this.retryAfter = retryAfter
  }
}

/** One connected and registered peer. Its frames go to `hear`, when that is set. */
export class Joined {
  readonly peer: BenchPeer
  hear: (frame: Buffer) => void = () => {}
  readonly #socket: WebSocket

  private constructor(peer: BenchPeer, socket: WebSocket) {
    this.peer = peer
    this.#socket = socket
  }

  /** Connects and registers; anything but the reply to the registration is a `JoinFailed`. */
  static join(url: string, protocol: Protocol, peer: BenchPeer, options: JoinOptions = {}): Promise<Joined> {
    const { hear, from } = options
    const localAddress = from === undefined ? {} : { localAddress: from }
    const socket = new WebSocket(url, { perMessageDeflate: false, skipUTF8Validation: true, ...localAddress })
    const joined = new Joined(peer, socket)
    if (hear !== undefined) joined.hear = hear
    return new Promise((resolve, reject) => {
      const fail = (why: string, retryAfter?: number) => {
        clearTimeout(timer)
        socket.terminate()
        reject(new JoinFailed(`${peer.name} could not register: ${why}`, retryAfter))
      }
      const timer = setTimeout(() => fail(`no reply for ${REPLY_MS} ms, ${STATES[socket.readyState]}`), REPLY_MS)
      const onReply = (frame: Buffer) => {
        if (protocol.kindOf(frame) !== 'registered') return fail(frame.toString('utf8', 0, 300))
        clearTimeout(timer)
        socket.off('message', onReply)
        socket.on('message', (next: Buffer) => joined.hear(next))
        resolve(joined)
      }
      socket.on('message', onReply)
      socket.once('unexpected-response', (_request, { statusCode, headers }) =>
        fail(`HTTP ${statusCode}`, Number(headers['retry-after'] ?? 0))
      )
      socket.on('error', (error) => fail(error.message))
      socket.on('close', (code) => fail(`the socket was closed with ${code}`))
      socket.once('open', () => void peer.registerFrame().then((frame) => socket.send(frame), fail))
    })
  }

  /** The bytes are copied before this returns. */
  send(frame: Buffer): void {
    this.#socket.send(frame, TEXT) // a client masks what it sends, and ws masks a copy
  }

  /** Leaves everything that comes in the system's buffers. */
  stopReading(): void {
    this.#socket.pause()
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  /** Closes with a handshake, so that nothing that was on its way is lost. */
  async leave(ms = 5_000): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.terminate(), ms)
      this.#socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      this.#socket.close()
    })
  }
}

export interface JoinReport {
  readonly seconds: number
  /** How often one was told to come back later, and did. */
  readonly refused: number
  /** How often one failed otherwise, and came again. */
  readonly failed: number
  /** From the first byte of the connection to the reply, in ms. */
  readonly latencyMs: Quantiles
}

/** Failures that are told on the standard error: the first ones. */
const SAID = 3

export interface CrowdOptions {
  /** Most that are on the way at once: the listen queue of a server is finite. */
  readonly concurrency: number
  /** Does one that failed try again? Else it fails all. */
  readonly comesBack?: boolean
  readonly optionsOf?: (index: number) => JoinOptions
}

/** Joins many peers. */
export async function joinAll(
  url: string,
  protocol: Protocol,
  peers: readonly BenchPeer[],
  { concurrency, comesBack = false, optionsOf = () => ({}) }: CrowdOptions
): Promise<{ joined: Joined[]; report: JoinReport }> {
  const joined: Joined[] = new Array(peers.length)
  const latencies = new Float64Array(peers.length)
  const started = performance.now()
  let next = 0
  let refused = 0
  let failed = 0
  const join = async (index: number): Promise<Joined> => {
    const options = optionsOf(index)
    try {
      return await Joined.join(options.url ?? url, protocol, peers[index]!, options)
    } catch (error) {
      if (!comesBack || !(error instanceof JoinFailed)) throw error
      if (error.retryAfter !== undefined) refused += 1
      else if (++failed <= SAID) process.stderr.write(`bench: ${error.message}\n`)
      await delay((error.retryAfter || 1) * 1_000)
      return join(index)
    }
  }
  const worker = async () => {
    for (let index = next++; index < peers.length; index = next++) {
      const began = performance.now()
      joined[index] = await join(index)
      latencies[index] = performance.now() - began
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, peers.length) }, worker))
  const seconds = (performance.now() - started) / 1_000
  return { joined, report: { seconds, refused, failed, latencyMs: quantiles(latencies) } }
}
