// The program as a person, or a script, calls it.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { CommandError, EXIT, type Io } from '../../src/cli/command.ts'
import { run } from '../../src/cli/program.ts'
import { readConfig } from '../../src/config/read.ts'
import { atEnd, type Scope } from './at-end.ts'
import { temporaryDirectory } from './database.ts'
import { OWN_OPTIONS, ownFile } from './own-program.ts'
import { until, within } from './wait.ts'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Default: an empty directory. */
  readonly cwd?: string
  /** What it is told; then its input ends. */
  readonly input?: string
}

/** A call that somebody talks with. */
export interface Conversation {
  /** Waits until it has ended. */
  ended(): Promise<Ended>
  /** Types a line. */
  say(line: string): void
  /** Waits for a line of its output that fits, after those this found before. */
  line(fits: RegExp): Promise<string>
}

/** A machine with other work to do takes seconds to start a process. */
const DEADLINE_MS = 60_000

/** Runs the real program to its end, with no settings but the given ones. */
export async function runCli(t: Scope, args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const program = await startCli(t, args, options)
  program.child.stdin.end(options.input ?? '')
  return program.ended()
}

/** Starts the real program; it is ended after the test if it still runs. */
export async function startCli(
  t: Scope,
  args: readonly string[],
  { env = {}, cwd }: CliOptions = {}
): Promise<Conversation & { child: ChildProcessWithoutNullStreams }> {
  const command = [...OWN_OPTIONS, ownFile('src/main.ts'), ...args]
  const home = cwd ?? (await temporaryDirectory(t))
  const settings = { PATH: process.env.PATH ?? '', HOME: home, ...env }
  const child = spawn(process.execPath, command, { cwd: home, env: settings })
  atEnd(t, () => void child.kill('SIGKILL'))
  child.stdin.on('error', () => {}) // it may end before it has read everything
  const [stdout, stderr] = [new Heard(), new Heard()]
  child.stdout.on('data', (text) => stdout.add(text))
  child.stderr.on('data', (text) => stderr.add(text))
  const code = once(child, 'close').then(([code]): number | null => code)
  return { child, ...conversation(code, stdout, stderr), say: (text) => void child.stdin.write(`${text}\n`) }
}

/** A call in this process, which is quicker: everything but main.ts itself. Nobody is at the terminal. */
export function callCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return callWith(args, { env, input: Readable.from([]), configHome: '/nowhere' }).ended()
}

/** The same, to talk with; its input ends after the test. */
export function talkToCli(t: Scope, args: readonly string[], configHome: string): Conversation {
  const input = new PassThrough()
  atEnd(t, () => input.end())
  return { ...callWith(args, { env: {}, input, configHome }), say: (text) => void input.write(`${text}\n`) }
}

function callWith(
  args: readonly string[],
  { env, input, configHome }: { env: Readonly<Record<string, string>>; input: Readable; configHome: string }
): Omit<Conversation, 'say'> {
  const [stdout, stderr] = [new Heard(), new Heard()]
  const io: Io = {
    stdin: input as unknown as Io['stdin'],
    stdout: stdout.stream(),
    stderr: stderr.stream(),
    colours: false,
    configHome,
    settings: async () => {
      const { config, mistakes, warnings } = readConfig({ DATA_DIR: '/nowhere', ...env })
      if (config === undefined) throw new CommandError(EXIT.settings, mistakes.join('\n'))
      return { config, warnings }
    },
    interruption: () => new AbortController().signal,
    serve: () => {
      throw new Error('a test that serves needs a process of its own')
    }
  }
  return conversation(run(args, io), stdout, stderr)
}

/** What was written so far. */
class Heard {
  text = ''

  add(text: unknown): void {
    this.text += String(text)
  }

  stream(): Io['stdout'] {
    const write = (chunk: unknown, _encoding: string, done: () => void) => {
      this.add(chunk)
      done()
    }
    return new Writable({ write }) as Io['stdout']
  }
}

function conversation(code: Promise<number | null>, stdout: Heard, stderr: Heard): Omit<Conversation, 'say'> {
  const ended = code.then((code): Ended => ({ code, stdout: stdout.text, stderr: stderr.text }))
  let hasEnded = false
  let seen = 0
  void ended.then(() => {
    hasEnded = true
  })
  const told = () => `${stdout.text.slice(seen)}\n${stderr.text}`
  const next = (fits: RegExp): string | undefined => {
    const lines = stdout.text.slice(seen).split('\n').slice(0, -1)
    const at = lines.findIndex((line) => fits.test(line))
    if (at === -1) return undefined
    seen += lines.slice(0, at + 1).join('\n').length + 1
    return lines[at]
  }
  return {
    ended: () => {
      const complaint = () => `it does not end:\n${told()}`
      return within(DEADLINE_MS, complaint, (resolve, reject) => void ended.then(resolve, reject))
    },
    line: (fits) => {
      const look = () => {
        const found = next(fits)
        if (found === undefined && hasEnded)
          throw new Error(`it has ended, and no line was like ${fits} in:\n${told()}`)
        return found
      }
      return until(() => `a line like ${fits} in:\n${told()}`, look, DEADLINE_MS)
    }
  }
}
