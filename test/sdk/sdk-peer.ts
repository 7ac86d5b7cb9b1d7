// Peers of the official SDK, each in a process of its own; scripts/install-test-programs.sh installs the SDK.
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { packageFile } from '../../src/util/package-root.ts'
import { atEnd } from '../helpers/at-end.ts'
import { until, within } from '../helpers/wait.ts'

const INSTALLED = packageFile('test/sdk/node_modules/@kynesyslabs/demosdk')
/** Longest a call may take: the SDK gives up an answer after 10 s, and `sendAll` makes 100 calls. */
const CALL_MS = 60_000

/** Options of a test that needs the SDK: without it the test is skipped, but in CI, where it is installed, it fails. */
export const SDK =
  existsSync(INSTALLED) || process.env.CI === 'true'
    ? {}
    : { skip: 'the official SDK is not installed: scripts/install-test-programs.sh' }

export interface Text {
  readonly from: string
  readonly text: string
}

/** Keys of a peer; the same seed makes the same keys. */
export const newSeed = (): string => randomBytes(128).toString('hex')

export class SdkPeer {
  readonly messages: Text[] = []
  /** Every other frame that its handlers were given. */
  readonly notices: { type: string; payload: Record<string, unknown> }[] = []
  readonly questions: { question: unknown; questionId: string }[] = []
  readonly left: string[] = []
  readonly states: string[] = []
  readonly #child: ChildProcess
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #last = 0
  #isReady = false
  #hasEnded = false

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (told: Record<string, never>) => this.#hear(told))
    child.on('exit', () => {
      this.#hasEnded = true
      for (const { reject } of this.#calls.values()) reject(new Error('the process of the SDK has ended'))
    })
  }

  /** A process with a peer that is not connected yet; it is ended after the test. */
  static async start(t: TestContext, url: string, clientId: string, seed = newSeed()): Promise<SdkPeer> {
    const program = packageFile('test/sdk/peer.mjs')
    const child = fork(program, [url, clientId, seed], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    atEnd(t, () => void child.kill('SIGKILL'))
    const peer = new SdkPeer(child)
    await until(`the process of ${clientId} runs`, () => {
      if (peer.#hasEnded) throw new Error(`the process of ${clientId} has ended`)
      return peer.#isReady
    })
    return peer
  }

  /** The same, connected. */
  static async connect(t: TestContext, url: string, clientId: string, seed?: string): Promise<SdkPeer> {
    const peer = await SdkPeer.start(t, url, clientId, seed)
    await peer.call('connect')
    return peer
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Calls a function of `peer.mjs`. */
  call<T = unknown>(name: string, ...args: unknown[]): Promise<T> {
    const call = ++this.#last
    return within<T>(CALL_MS, `no end of ${name}()`, (resolve, reject) => {
      this.#calls.set(call, { resolve: resolve as (value: unknown) => void, reject })
      this.#child.send({ call, name, args })
    })
  }

  /** The texts of its first `count` messages, once they have come; more is a failure. */
  async texts(count: number): Promise<string[]> {
    await until(
      () => `${this.messages.length} of ${count} messages came`,
      () => this.messages.length >= count
    )
    if (this.messages.length > count) throw new Error(`${this.messages.length} messages came, not ${count}`)
    return this.messages.map(({ text }) => text)
  }

  // biome-ignore lint/suspicious/noExplicitAny: what peer.mjs tells
  #hear({ event, call, value, error }: Record<string, any>): void {
    if (event === 'ready') this.#isReady = true
    else if (event === 'message') this.messages.push(value)
    else if (event === 'notice') this.notices.push(value)
    else if (event === 'question') this.questions.push(value)
    else if (event === 'peerDisconnected') this.left.push(value)
    else if (event === 'state') this.states.push(value)
    if (call === undefined) return
    const waiting = this.#calls.get(call)
    this.#calls.delete(call)
    if (error === undefined) waiting?.resolve(value)
    else waiting?.reject(new Error(error))
  }
}
