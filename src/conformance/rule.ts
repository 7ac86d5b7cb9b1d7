// What a rule is, and the words in which rules say what they expect.
import { Connection, type Frame, NotSupported, type Said, Violation } from './connection.ts'

export type Protocol = 'signaling' | 'l2ps'

export interface Rule {
  /** Of docs/protocol.md. */
  readonly section: string
  /** A sentence about the server; unique in its protocol. */
  readonly title: string
  readonly check: (stage: Stage) => Promise<void>
}

/** Where the server is, and what it is given to play with. */
export interface Target {
  readonly url: string
  /** An L2PS network that is open to every key. */
  readonly network: string
  /** A second one, for rules about two networks. */
  readonly otherNetwork?: string | undefined
  readonly waitMs: number
  readonly onFrame?: (text: string) => void
}

/** What one rule is played on: its sockets are closed when it has been checked. */
export class Stage {
  readonly target: Target
  readonly said: Said[] = []
  readonly #connections: Connection[] = []

  constructor(target: Target) {
    this.target = target
  }

  /** `name` is what the transcript calls the socket. */
  async connect(name: string): Promise<Connection> {
    const { url, waitMs, onFrame } = this.target
    const connection = await Connection.open({ name, url, waitMs, said: this.said, ...(onFrame ? { onFrame } : {}) })
    this.#connections.push(connection)
    return connection
  }

  async end(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()))
  }
}

/** The rule does not hold unless this is so. */
export function expect(isSo: unknown, sentence: string): asserts isSo {
  if (!isSo) throw new Violation(sentence)
}

/** The server lacks an optional part of the protocol unless this is so. */
export function needs(isSo: unknown, sentence: string): asserts isSo {
  if (!isSo) throw new NotSupported(sentence)
}

export function expectType(frame: Frame, type: string): Frame {
  expect(frame.type === type, `expected ${type}, but ${frame.type} came: ${frame.text.slice(0, 200)}`)
  return frame
}

export function expectSame(actual: unknown, wanted: unknown, what: string): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(wanted)]
  const shown = (json: string | undefined) => (json === undefined ? 'missing' : json.slice(0, 200))
  expect(is === should, `expected ${what} to be ${shown(should)}, but it is ${shown(is)}`)
}

let names = 0
const RUN = crypto.randomUUID().slice(0, 8)

/** A text that nobody has used on the server before. */
export const fresh = (word: string): string => `conformance-${RUN}-${word}-${++names}`
