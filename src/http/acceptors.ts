import { spawn } from 'node:child_process'
import { createServer, type Server, type Socket } from 'node:net'

/** Connections that one turn of the event loop may accept from a listener. */
const ACCEPTED_IN_A_TURN = 8
/** Longest that the other process may take, in ms. */
const PATIENCE_MS = 30_000

/**
 * Node.js has no dup(2), but a descriptor that is sent to another process and back is a new one of the same socket. What is
 * sent is the handle (`net.Native`, as node:cluster does): of a `net.Server` the other process would accept connections.
 */
const SEND_BACK = `process.on('message', (times, handle) => {
  const next = (left) => (left > 0 ? process.send(left, handle, () => next(left - 1)) : process.exit())
  next(times)
})`

/**
 * Accepts several connections of a listener in a turn of the event loop.
 *
 * Node.js accepts one for each descriptor, as libuv does not accept in a loop. When turns are long, a flood of connections
 * fills the system's queue; newcomers are then not let into it at all, and try again after 1, 3 and 7 s. So the listener
 * gets more descriptors of its socket. Where no other process may be started, it stays at one.
 */
export class Acceptors {
  readonly #listener: Server
  readonly #acceptors: Server[] = []
  #isClosed = false

  constructor(listener: Server) {
    this.#listener = listener
  }

  /** Connections that one turn accepts. */
  get atOnce(): number {
    return 1 + this.#acceptors.length
  }

  /** Begins, once the listener listens. A process is started: not for the first time under a flood. */
  start(): void {
    const other = spawn(process.execPath, ['-e', SEND_BACK], {
      ...{ stdio: ['ignore', 'ignore', 'ignore', 'ipc'], env: {}, timeout: PATIENCE_MS, killSignal: 'SIGKILL' }
    })
    other.unref()
    other.on('error', () => {})
    other.on('message', (_left, handle) => {
      if (handle) this.#add(handle) // it may be lost where no descriptor is left: listen() would open another port without
    })
    const { _handle } = this.#listener as Server & { readonly _handle: never }
    if (other.connected) other.send(ACCEPTED_IN_A_TURN - 1, _handle, () => {})
  }

  /** The listener itself accepts as long as it listens. */
  close(): void {
    this.#isClosed = true
    for (const acceptor of this.#acceptors.splice(0)) acceptor.close()
  }

  #add(handle: object): void {
    const { allowHalfOpen, noDelay, keepAlive } = this.#listener as Server & Record<string, never>
    const acceptor = createServer({ allowHalfOpen, noDelay, keepAlive }) // its connections are set up as the listener's
    acceptor.on('connection', (socket: Socket) => this.#listener.emit('connection', socket))
    acceptor.on('error', () => {})
    acceptor.listen(handle)
    if (this.#isClosed) acceptor.close()
    else this.#acceptors.push(acceptor)
  }
}
