// One socket of the suite: sends exactly what it is told, remembers every frame, and waits for what a rule expects.
import { WebSocket } from 'ws'

/** A frame as it came. `text`: its bytes as the server wrote them. */
export interface Frame {
  readonly type: string
  // biome-ignore lint/suspicious/noExplicitAny: a rule states what it expects by reading it
  readonly payload: any
  readonly requestId?: unknown
  readonly text: string
}

/** A line of what was said while a rule was checked, in order. */
export interface Said {
  readonly peer: string
  readonly direction: 'sent' | 'received' | 'closed'
  readonly text: string
}

/** The server broke the rule that is being checked. */
export class Violation extends Error {
  override name = 'Violation'
}

/** The server does not have the optional part of the protocol that the rule is about. */
export class NotSupported extends Error {
  override name = 'NotSupported'
}

/** No socket could be had: says nothing about the rule. */
export class Unreachable extends Error {
  override name = 'Unreachable'
}

/** Frames that tell of other peers. */
const ANNOUNCEMENTS: ReadonlySet<string> = new Set(['peer_disconnected', 'peer_joined', 'peer_left'])

/** Characters of a frame that are kept for people to read. */
const EXCERPT = 400

export interface Line {
  readonly name: string
  readonly url: string
  readonly said: Said[]
  /** Longest wait for one frame. */
  readonly waitMs: number
  /** Hears of every frame the server sends. */
  readonly onFrame?: (text: string) => void
}

export class Connection {
  /** The close code; resolves when the socket is gone. */
  readonly closed: Promise<number>
  readonly #line: Line
  readonly #socket: WebSocket
  readonly #inbox: Frame[] = []
  readonly #waiting = new Set<() => void>()
  #isClosed = false

  private constructor(line: Line, socket: WebSocket) {
    this.#line = line
    this.#socket = socket
    socket.on('message', (data) => this.#receive(String(data)))
    socket.on('error', () => {}) // a close follows
    this.closed = new Promise((resolve) =>
      socket.once('close', (code) => {
        this.#isClosed = true
        this.#note('closed', `close code ${code}`)
        this.#wake()
        resolve(code)
      })
    )
  }

  /** Rejects with `Unreachable` when there is no socket within the wait. */
  static open(line: Line): Promise<Connection> {
    const socket = new WebSocket(line.url, { perMessageDeflate: false, handshakeTimeout: line.waitMs })
    const connection = new Connection(line, socket)
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(connection))
      socket.once('error', ({ message }) => reject(new Unreachable(`${line.url}: ${message}`)))
    })
  }

  get name(): string {
    return this.#line.name
  }

  send(frame: unknown): void {
    this.sendRaw(JSON.stringify(frame))
  }

  /** A text frame, or of bytes a binary one. */
  sendRaw(data: string | Uint8Array): void {
    const text = typeof data === 'string' ? data : `(binary, ${data.length} bytes)`
    this.#note('sent', text)
    this.#socket.send(data)
  }

  /** Takes the oldest frame, whatever it is. */
  first(what: string): Promise<Frame> {
    return this.take(what, () => true)
  }

  /** Takes the oldest frame that does not tell of other peers: those come at any time, also of peers of an earlier rule. */
  next(what: string): Promise<Frame> {
    return this.take(what, ({ type }) => !ANNOUNCEMENTS.has(type))
  }

  /** Takes the oldest frame that fits; others keep their place. */
  async take(what: string, fits: (frame: Frame) => boolean): Promise<Frame> {
    const deadline = performance.now() + this.#line.waitMs
    for (;;) {
      const at = this.#inbox.findIndex(fits)
      if (at !== -1) return this.#inbox.splice(at, 1)[0]!
      if (this.#isClosed) throw new Violation(`expected ${what}, but the connection was closed`)
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new Violation(`expected ${what}, but nothing like it came in ${this.#line.waitMs} ms`)
      await this.#change(leftMs)
    }
  }

  /** What came and was not taken. */
  get untaken(): readonly Frame[] {
    return this.#inbox
  }

  /** The close code; a violation when the server keeps the socket open. */
  async closes(what: string): Promise<number> {
    const timer = new Promise<undefined>((resolve) => setTimeout(resolve, this.#line.waitMs, undefined).unref())
    const code = await Promise.race([this.closed, timer])
    if (code === undefined) throw new Violation(`expected ${what}, but the socket stayed open`)
    return code
  }

  /** Closes with a handshake, or cuts the connection when the server does not answer it. */
  async close(): Promise<void> {
    this.#socket.close(1000)
    const timer = setTimeout(() => this.#socket.terminate(), 1_000)
    await this.closed
    clearTimeout(timer)
  }

  #receive(text: string): void {
    this.#note('received', text)
    this.#line.onFrame?.(text)
    this.#inbox.push(read(text))
    this.#wake()
  }

  #note(direction: Said['direction'], text: string): void {
    const excerpt = text.length > EXCERPT ? `${text.slice(0, EXCERPT)}… (${text.length} characters)` : text
    this.#line.said.push({ peer: this.name, direction, text: excerpt })
  }

  /** Resolves when something has come, or the connection has ended, or the time is over. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }
}

function read(text: string): Frame {
  try {
    const value = JSON.parse(text)
    if (typeof value === 'object' && value !== null) {
      const { type, payload, requestId } = value
      const named = typeof type === 'string' ? type : '(a frame without a type)'
      return { type: named, payload: payload ?? {}, text, ...(requestId === undefined ? {} : { requestId }) }
    }
  } catch {
    // no JSON: no rule expects it, and its text is shown
  }
  return { type: '(not a frame)', payload: {}, text }
}
