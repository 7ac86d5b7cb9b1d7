import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Moment } from './parent.ts'

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Options of node itself. */
  readonly execArgv?: readonly string[]
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

const running = new Set<Child>()
process.on('exit', () => {
  for (const child of running) child.kill()
})

/** A process of the benchmark. It ends when this one does; what it prints goes to stderr. */
export class Child {
  readonly pid: number
  /** Called at the ends of a measured stretch, see `mark`. */
  onMoment: (moment: Moment) => void = () => {}
  readonly #name: string
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  #calls = 0
  #stopping = false

  constructor(name: string, command: readonly string[], options: ChildOptions = {}) {
    this.#name = name
    this.#process = spawn(process.execPath, [...(options.execArgv ?? []), ...command], {
      stdio: ['ignore', 2, 2, 'ipc'],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd })
    })
    this.pid = this.#process.pid ?? 0
    running.add(this)
    this.#process.on('message', (message) => this.#hear(message as never))
    this.#ended = new Promise((resolve) => {
      this.#process.once('error', (error) => this.#end(error.message, resolve))
      this.#process.once('exit', (code, signal) => this.#end(`ended (${signal ?? code})`, resolve))
    })
  }

  /** Starts a module of this directory. */
  static module(name: string, file: string, execArgv: readonly string[] = [], env?: NodeJS.ProcessEnv): Child {
    const isCompiled = import.meta.url.endsWith('.js') // for the tests
    const path = fileURLToPath(new URL(isCompiled ? file.replace(/ts$/, 'js') : file, import.meta.url))
    return new Child(name, [path], {
      execArgv: [...(isCompiled ? [] : ['--import', import.meta.resolve('tsx')]), ...execArgv],
      ...(env === undefined ? {} : { env: { ...process.env, ...env } })
    })
  }

  get isRunning(): boolean {
    return running.has(this)
  }

  /** Asks the child to do something; fails when it has not answered within `ms`. */
  call<T>(command: string, request: unknown, ms: number): Promise<T> {
    const id = ++this.#calls
    return new Promise<T>((resolve, reject) => {
      const late = () => reject(new Error(`${this.#name} did not finish "${command}" within ${ms} ms`))
      const timer = setTimeout(late, ms)
      const settle =
        <A>(done: (value: A) => void) =>
        (value: A) => {
          clearTimeout(timer)
          this.#waiting.delete(id)
          done(value)
        }
      this.#waiting.set(id, { resolve: settle(resolve as (result: unknown) => void), reject: settle(reject) })
      if (!this.isRunning) this.#waiting.get(id)!.reject(new Error(`${this.#name} is not running`))
      else this.#process.send({ id, command, request })
    })
  }

  /** Lets go of it and waits; after `ms` it is killed. `signal` for programs that do not know us. */
  async stop(ms = 5_000, signal?: NodeJS.Signals): Promise<void> {
    this.#stopping = true
    if (!this.isRunning) return
    const timer = setTimeout(() => this.kill(), ms)
    if (signal !== undefined) this.#process.kill(signal)
    else if (this.#process.connected) this.#process.disconnect()
    await this.#ended
    clearTimeout(timer)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  #end(how: string, done: () => void): void {
    running.delete(this)
    for (const { reject } of [...this.#waiting.values()]) reject(new Error(`${this.#name} ${how}`))
    if (!this.#stopping) process.stderr.write(`bench: ${this.#name} ${how}\n`)
    done()
  }

  #hear(message: { id?: number; result?: unknown; error?: string } | Moment): void {
    if ('moment' in message) {
      this.onMoment(message)
      return
    }
    const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id)
    if (message.error !== undefined) waiting?.reject(new Error(`${this.#name}: ${message.error}`))
    else waiting?.resolve(message.result)
  }
}

/** Ends whatever still runs. */
export async function stopAllChildren(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop()))
}
