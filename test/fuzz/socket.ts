// A socket of the fuzzer: says anything, and holds every answer against what the documents allow.
import { WebSocket } from 'ws'
import { excerpt, type ReceivedFrame } from '../helpers/inbox.ts'
import { faultOf } from '../helpers/server-frames.ts'
import { within } from '../helpers/wait.ts'
import { type Expectation, expectationOf } from './expectation.ts'

/** The origin at which the server gives challenges. */
export const FUZZ_ORIGIN = 'ws://fuzz.example'

export type ProtocolName = 'signaling' | 'l2ps'

const PATIENCE_MS = 60_000
/** Frames that may wait for their answers. */
const AHEAD = 64
/** What answers nothing, but tells of others. */
const PUSHES = {
  signaling: new Set(['message', 'peer_disconnected']),
  l2ps: new Set(['message', 'peer_joined', 'peer_left'])
}
/** Limits of docs/protocol.md, 1.8: what else INTERNAL_ERROR says is a failure of the server. */
const LIMITS = /^(Offline message limit reached|Too many messages are waiting|The server is busy)/

/** The server says that it has too much to do, and that the frame may be sent again. */
export const isBusy = ({ payload }: ReceivedFrame): boolean =>
  (payload.errorType ?? payload.code) === 'INTERNAL_ERROR' && LIMITS.test(String(payload.details ?? payload.message))

export class FuzzSocket {
  readonly protocol: ProtocolName
  /** Since when every frame is one of a registered socket. */
  isRegistered = false
  readonly #ws: WebSocket
  readonly #expected: Expectation[] = []
  readonly #fail: (problem: string) => void
  #looked = () => {}
  #code: number | undefined

  private constructor(ws: WebSocket, protocol: ProtocolName, fail: (problem: string) => void) {
    this.#ws = ws
    this.protocol = protocol
    this.#fail = (problem) => fail(`${protocol}: ${problem}`)
    ws.on('message', (data) => this.#hear(JSON.parse(String(data))))
    ws.on('error', () => {})
    ws.once('close', (code) => {
      this.#code = code
      this.#looked()
    })
  }

  /** From an address of its own, of those that all mean this machine. */
  static async open(url: string, localAddress: string, protocol: ProtocolName, fail: (problem: string) => void) {
    const ws = new WebSocket(url, { perMessageDeflate: false, localAddress })
    const socket = new FuzzSocket(ws, protocol, fail)
    await within(PATIENCE_MS, 'no connection', (resolve, reject) => {
      ws.once('open', () => resolve(undefined))
      ws.once('error', reject)
    })
    return socket
  }

  /** How the server closed it; undefined: it is open. */
  get code(): number | undefined {
    return this.#code
  }

  /** The answer to the last `ask`. */
  answer: ReceivedFrame | undefined

  send(data: string | Uint8Array): void {
    const expectation = expectationOf(this.protocol, data, this.isRegistered)
    this.#expected.push(expectation)
    this.#ws.send(data)
    if (expectation.isOptional) this.#sendMarker()
  }

  /** Waits until only so many frames wait for their answers that more may be sent. */
  hasRoom(): Promise<void> {
    return this.#expected.length < AHEAD ? Promise.resolve() : this.#shrinksTo(AHEAD / 2)
  }

  /** Waits until every frame has had its answer. */
  settled(): Promise<void> {
    return this.#shrinksTo(0)
  }

  /** Sends a frame that is answered, and returns the answer. */
  async ask(frame: object): Promise<ReceivedFrame | undefined> {
    await this.settled()
    this.answer = undefined
    this.send(JSON.stringify(frame))
    await this.settled()
    return this.answer
  }

  close(): void {
    this.#ws.close()
  }

  terminate(): void {
    this.#ws.terminate()
  }

  /** A frame that registered and other sockets may send, and whose answer no optional frame gets. */
  #sendMarker(): void {
    markers += 1
    const ofL2ps = {
      type: 'request_public_key',
      payload: { targetId: '00' },
      requestId: `marker-${markers}`,
      timestamp: 1
    }
    const ofSignaling = { type: 'challenge', payload: { origin: FUZZ_ORIGIN } }
    this.send(JSON.stringify(this.protocol === 'l2ps' ? ofL2ps : ofSignaling))
  }

  #hear(frame: ReceivedFrame): void {
    const fault = faultOf(this.protocol, frame)
    if (fault !== undefined) this.#fail(`the server sent what no document promises (${fault}): ${excerpt(frame)}`)
    if (PUSHES[this.protocol].has(frame.type)) return
    const word = String(frame.payload.errorType ?? frame.payload.code ?? frame.type)
    const fits = ({ allowed, requestId }: Expectation) =>
      allowed.has(word) && (requestId === null || requestId === frame.requestId)
    while (this.#expected[0]?.isOptional && !fits(this.#expected[0])) this.#expected.shift()
    const expectation = this.#expected.shift()
    if (expectation === undefined || !fits(expectation)) {
      this.#fail(`${excerpt(frame)} answers ${expectation?.text.slice(0, 2_000) ?? 'nothing'}`)
    }
    if (word === 'INTERNAL_ERROR' && !isBusy(frame)) {
      this.#fail(`${excerpt(frame)} to ${expectation?.text.slice(0, 2_000)}`)
    }
    this.answer = frame
    this.#looked()
  }

  async #shrinksTo(count: number): Promise<void> {
    const isDone = () => this.#expected.length <= count || this.#code !== undefined
    if (isDone()) return
    const complaint = () => `no answer to ${this.#expected[0]?.text.slice(0, 2_000)}`
    await within(PATIENCE_MS, complaint, (resolve) => {
      this.#looked = () => {
        if (isDone()) resolve(undefined)
      }
    }).catch((error: Error) => this.#fail(error.message))
    this.#looked = () => {}
  }
}

let markers = 0
