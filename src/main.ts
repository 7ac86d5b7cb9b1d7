#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { constants, homedir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import type closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import { CommandError, EXIT, type ExitCode, type Io, settingsAreWrong } from './cli/command.ts'
import { run } from './cli/program.ts'
import type { RunningServer } from './server.ts'

/** Signals of one stop come in bursts: on Ctrl-C the terminal sends one, and npm passes another on. */
const BURST_MS = 500

/** Time the database gets to stop after the grace, which is for peers and their writes. */
const DATABASE_STOP_MS = 5_000

/** Signals that stop the server. */
const STOPS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Signals of a broken process. Not caught: a handler in JavaScript would be entered again and again for ever. */
const FAULTS = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'] as const

const terminal = process.stdout.isTTY === true
const colours = terminal && !process.env.NO_COLOR

// The reader of our output may close the pipe early: `demos-relay queues | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed)
)
process.exitCode = await run(process.argv.slice(2), ourIo())

/** The only place that knows the process: arguments, environment, signals and exit codes are translated here. */
function ourIo(): Io {
  const { stdin, stdout, stderr } = process
  let interruption: AbortSignal | undefined
  return {
    ...{ stdin, stdout, stderr, colours },
    get configHome() {
      return configHome()
    },
    settings,
    interruption: () => (interruption ??= abortedBySignals()),
    serve
  }
}

/** Only asked for by commands that keep something there: a container's user has neither HOME nor an entry in passwd. */
function configHome(): string {
  const { XDG_CONFIG_HOME: home } = process.env
  if (home) return home
  try {
    return join(homedir(), '.config')
  } catch {
    throw new CommandError(EXIT.failed, 'There is no home directory to keep this in: set HOME, or XDG_CONFIG_HOME.')
  }
}

/** The checked settings. Rejects with every mistake, a line each. */
async function settings(): ReturnType<Io['settings']> {
  const { readConfig } = await import('./config/read.ts')
  const warning = loadDotEnv()
  const { config, mistakes = [], warnings } = readConfig(process.env)
  if (warning !== undefined) warnings.push(warning)
  if (config !== undefined) return { config, warnings }
  throw new CommandError(EXIT.settings, settingsAreWrong(mistakes, warnings))
}

/**
 * Adds the variables of `.env` in the working directory to the environment; the file may be missing. Not by
 * `process.loadEnvFile`, which says nothing of a file that it may not read.
 */
function loadDotEnv(): string | undefined {
  try {
    const variables = parseEnv(readFileSync('.env', 'utf8'))
    for (const [name, value] of Object.entries(variables)) process.env[name] ??= value
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') return `.env cannot be read (${code}) and is ignored.`
  }
  return undefined
}

/** Aborted by the first signal; the second one ends the process at once. */
function abortedBySignals(): AbortSignal {
  const controller = new AbortController()
  for (const signal of STOPS) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[signal])
      controller.abort()
    })
  }
  return controller.signal
}

async function serve(): Promise<ExitCode> {
  const { config, warnings } = await settings()
  const [{ createLogger }, { banner, serverFacts }, { VERSION }, { StartError }, { default: gracefully }] =
    await Promise.all([
      import('./observability/logging.ts'),
      import('./cli/banner.ts'),
      import('./util/package-root.ts'),
      import('./util/start-error.ts'),
      import('close-with-grace')
    ])
  const log = createLogger(config, { terminal, colours })
  for (const warning of warnings) log.warn(warning)
  let server: RunningServer | undefined
  let starting: Promise<RunningServer> | undefined
  const givenUp = new AbortController()
  const close = async () => {
    if (server === undefined) givenUp.abort()
    await (await starting?.catch(() => undefined))?.close()
  }
  const stop = stopOnSignals(gracefully, close, config.SHUTDOWN_GRACE_SECONDS * 1_000, log)
  try {
    const { startServer } = await import('./server.ts')
    starting = startServer(config, { logger: log, stopped: givenUp.signal })
    server = await starting
    if (stop.begun()) return EXIT.ok
    server.app.sockets.acceptMore()
    const { addresses } = server
    const facts = serverFacts(config, addresses, VERSION)
    if (terminal) process.stdout.write(banner(facts, { colours, width: Math.min(process.stdout.columns || 80, 80) }))
    else log.info(facts, 'server ready')
    return EXIT.ok
  } catch (error) {
    if (stop.begun()) return EXIT.ok // it was stopped before it had started
    // The message of a StartError says enough for an operator; any other error needs its stack.
    log.fatal(error instanceof StartError ? { reason: error.message } : { err: error }, 'server could not start')
    process.exit(EXIT.failed)
  }
}

/**
 * The first signal stops the server within the grace; a later one ends the process at once.
 * So does a crash: it is logged, the server stops, and the exit code is 1.
 */
function stopOnSignals(
  gracefully: typeof closeWithGrace,
  close: () => Promise<void>,
  graceMs: number,
  log: Logger
): { begun(): boolean } {
  const options = { delay: graceMs + DATABASE_STOP_MS, logger: closingLog(log), skip: [...STOPS, ...FAULTS] }
  let begun = false
  const graceful = gracefully(options, async ({ err }) => {
    begun = true
    if (err) log.fatal({ err }, 'unexpected error, stopping')
    await close()
    log.info('server stopped')
  })
  let firstAt: number | undefined
  const onSignal = (signal: (typeof STOPS)[number]) => {
    if (firstAt === undefined) {
      firstAt = performance.now()
      log.info({ signal }, 'stopping')
      graceful.close()
    } else if (performance.now() - firstAt > BURST_MS) {
      log.warn({ signal }, 'stopping at once')
      process.exit(128 + constants.signals[signal])
    }
  }
  for (const signal of STOPS) process.on(signal, onSignal)
  return { begun: () => begun }
}

/** Writes what close-with-grace reports, sentences or errors, to our log. */
function closingLog(log: Logger): { error(problem: unknown): void } {
  return {
    error: (problem) => log.error(typeof problem === 'string' ? { problem } : { err: problem }, 'stop went wrong')
  }
}
