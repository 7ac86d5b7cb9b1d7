import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { BusFaults } from '../cluster/faulty-bus.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { OWN_OPTIONS, OWN_TREE, ownFile } from '../helpers/own-program.ts'
import { until } from '../helpers/wait.ts'

/** The server under test, in a process of its own. */
export interface ServerProcess {
  /** Where it listens (ws://host:port); undefined while it does not run. */
  readonly url: string | undefined
  /** What went wrong in it that no fault explains: its log's fatal lines, and ends nobody asked for. */
  readonly problems: readonly string[]
  /** The last lines of its log. */
  readonly tail: readonly string[]
  /** What it logged last with this message. */
  logged(message: string): Readonly<Record<string, unknown>> | undefined
  start(): Promise<void>
  /** Another build, from the next start on: the directory of its compiled sources. */
  setBuild(directory: string): void
  /** kill -9 */
  kill(): Promise<void>
  /** Stops it where it stands (SIGSTOP), as a machine that sleeps. */
  freeze(): void
  thaw(): void
  /** What it holds in memory (RSS), in bytes; Linux only. */
  memory(): Promise<number>
  /** SIGTERM; returns the exit code. */
  stop(): Promise<number | null>
  /** Steps its clock; only where `steppedClock` was asked for. */
  setClock(offsetMs: number): void
  /** Has its hand-overs to other relays lost, repeated and reordered; only where `steppedClock` was asked for. */
  setFaults(faults: BusFaults): void
  /** Does its health check say that all is well? */
  isReady(): Promise<boolean>
}

const STOP_MS = 20_000
const TAIL_LINES = 40
const STARTS = 3
const RESTART_MS = 1_000
/** Words that no log line of a healthy server has, whatever its database does. */
const ALARMING = /unhandledRejection|uncaughtException|unexpected error|"level":"fatal"/

export interface ServerProcessOptions {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly steppedClock: boolean
  readonly nodeOptions?: readonly string[]
  /** A program that runs it, with its arguments. */
  readonly prefix?: readonly string[] | undefined
}

export function serverProcess(scope: Scope, options: ServerProcessOptions): ServerProcess {
  const problems: string[] = []
  const tail: string[] = []
  const last = new Map<string, Readonly<Record<string, unknown>>>()
  let build: string | undefined
  let child: ChildProcess | undefined
  let url: string | undefined
  let isEndExpected = true

  const hear = (line: string) => {
    tail.push(line)
    if (tail.length > TAIL_LINES) tail.shift()
    if (ALARMING.test(line)) problems.push(line.slice(0, 2_000))
    const facts = factsIn(line)
    if (facts !== undefined) last.set(String(facts.msg), facts)
  }
  const end = async (signal: NodeJS.Signals, ms: number): Promise<number | null> => {
    if (child === undefined) return null
    isEndExpected = true
    const ending = child
    const ended = once(ending, 'exit')
    ending.kill(signal)
    const timer = setTimeout(() => {
      problems.push(`the server did not end within ${ms} ms of ${signal}`)
      ending.kill('SIGKILL')
    }, ms)
    const [code] = await ended
    clearTimeout(timer)
    return code
  }
  /** A start that meets a database that does not answer ends; as a supervisor does, it is started again. */
  const start = async () => {
    for (let tries = 1; ; tries++) {
      try {
        return await startOnce()
      } catch (error) {
        if (tries === STARTS || !String(error).includes('DatabaseUnavailable')) throw error
        await delay(RESTART_MS)
      }
    }
  }
  const startOnce = async () => {
    isEndExpected = false
    let isStarted = false
    last.delete('server ready')
    const started = launch(options, build)
    child = started
    for (const stream of [started.stdout!, started.stderr!]) createInterface({ input: stream }).on('line', hear)
    started.once('exit', (code, signal) => {
      child = undefined
      url = undefined
      if (!isEndExpected && isStarted) problems.push(`the server ended by itself (${signal ?? code})`)
    })
    const isReady = () => {
      if (child !== started) throw new Error(`the server ended while it started:\n${tail.join('\n')}`)
      return last.get('server ready')
    }
    url = String((await until(() => `the server is ready:\n${tail.join('\n')}`, isReady)).signaling)
    isStarted = true
  }
  atEnd(scope, () => end('SIGKILL', STOP_MS))
  return {
    problems,
    tail,
    get url() {
      return url
    },
    logged: (message) => last.get(message),
    start,
    setBuild: (directory) => {
      build = directory
    },
    kill: async () => void (await end('SIGKILL', STOP_MS)),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    memory: () => residentBytes(child?.pid),
    stop: () => end('SIGTERM', STOP_MS),
    setClock: (offsetMs) => void child?.send({ offsetMs }),
    setFaults: (faults) => void child?.send({ faults }),
    isReady: async () => {
      if (url === undefined) return false
      const answer = await fetch(`${url.replace(/^ws/, 'http')}/health/ready`).catch(() => undefined)
      await answer?.body?.cancel()
      return answer?.ok === true
    }
  }
}

function launch(
  { env, cwd, steppedClock, nodeOptions = [], prefix = [] }: ServerProcessOptions,
  build: string | undefined
): ChildProcess {
  const file = (source: string) =>
    build === undefined ? ownFile(source) : join(build, relative(OWN_TREE, ownFile(source)))
  const entry = steppedClock ? [file('test/chaos/clock-server.ts')] : [file('src/main.ts'), 'serve']
  const { PATH, HOME, TMPDIR } = process.env
  const [program, ...args] = [...prefix, process.execPath, ...nodeOptions, ...OWN_OPTIONS, ...entry]
  return spawn(program!, args, {
    cwd,
    env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...env },
    stdio: steppedClock ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe']
  })
}

async function residentBytes(pid: number | undefined): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))!
  return Number(kilobytes) * 1_024
}

/** A log line; the last one of a killed process may be half. */
function factsIn(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
