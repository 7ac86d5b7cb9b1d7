import { WebSocket } from 'ws'
import type { BenchPeer, Protocol } from '../protocols/protocol.ts'
import { type Quantiles, quantiles } from '../statistics.ts'

const TEXT = { binary: false }

export interface JoinOptions {
  readonly hear?: ((frame: Buffer) => void) | undefined
  /** The local address to connect from: each has so many ports. */
  readonly from?: string | undefined
  /** Where to, if not where the others go. */
  readonly url?: string | undefined
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

  /** Connects and registers; anything but the reply to the registration is a failure. */
  static join(url: string, protocol: Protocol, peer: BenchPeer, options: JoinOptions = {}): Promise<Joined> {
    const { hear, from } = options
    const localAddress = from === undefined ? {} : { localAddress: from }
    const socket = new WebSocket(url, { perMessageDeflate: false, skipUTF8Validation: true, ...localAddress })
    const joined = new Joined(peer, socket)
    if (hear !== undefined) joined.hear = hear
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        socket.terminate()
        reject(new Error(`${peer.name} could not register: ${why}`))
      }
      const onReply = (frame: Buffer) => {
        if (protocol.kindOf(frame) !== 'registered') return fail(frame.toString('utf8', 0, 300))
        socket.off('message', onReply)
        socket.on('message', (next: Buffer) => joined.hear(next))
        resolve(joined)
      }
      socket.on('message', onReply)
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
  /** From the first byte of the connection to the reply, in ms. */
  readonly latencyMs: Quantiles
}

/** Joins many peers, at most `concurrency` of them on the way at once: the listen queue of a server is finite. */
export async function joinAll(
  url: string,
  protocol: Protocol,
  peers: readonly BenchPeer[],
  concurrency: number,
  optionsOf: (index: number) => JoinOptions = () => ({})
): Promise<{ joined: Joined[]; report: JoinReport }> {
  const joined: Joined[] = new Array(peers.length)
  const latencies = new Float64Array(peers.length)
  const started = performance.now()
  let next = 0
  const worker = async () => {
    for (let index = next++; index < peers.length; index = next++) {
      const began = performance.now()
      const options = optionsOf(index)
      joined[index] = await Joined.join(options.url ?? url, protocol, peers[index]!, options)
      latencies[index] = performance.now() - began
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, peers.length) }, worker))
  return { joined, report: { seconds: (performance.now() - started) / 1_000, latencyMs: quantiles(latencies) } }
}
