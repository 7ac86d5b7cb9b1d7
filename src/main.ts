#!/usr/bin/env node
import { constants } from 'node:os'
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import { banner, serverFacts } from './banner.ts'
import { helpText, parseArguments, USAGE } from './cli.ts'
import { readConfig } from './config/read.ts'
import type { Config } from './config/schema.ts'
import { DoorError } from './doors.ts'
import { createLogger } from './logging.ts'
import { VERSION } from './version.ts'

const EXIT = { ok: 0, failed: 1, usage: 2, config: 78 } as const

/** Signals of one stop come in bursts: on Ctrl-C the terminal sends one, and npm passes another on. */
const BURST_MS = 500

/** What a stop may take after the grace, which is for peers and their writes: the database needs a moment too. */
const DATABASE_STOP_MS = 5_000

/** Signals of a broken process. Caught in JavaScript, a real fault would come again and again for ever. */
const FAULTS = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'] as const

const terminal = process.stdout.isTTY === true
const colours = terminal && !process.env.NO_COLOR

await main(process.argv.slice(2))

/** The only place that knows the process: arguments, environment, signals and exit codes are translated here. */
async function main(args: string[]): Promise<void> {
  const asked = parseArguments(args)
  if ('unknown' in asked) return end(EXIT.usage, `demos-relay: unknown argument "${asked.unknown}"\n\n${USAGE}`)
  if (asked.command === 'help') return void process.stdout.write(helpText())
  if (asked.command === 'version') return void process.stdout.write(`${VERSION}\n`)
  const { config, warnings } = environmentConfig()
  if (config === undefined) return
  if (asked.command === 'serve') return serve(config, warnings)
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
  process.stdout.write('The settings are fine.\n')
}

/** The checked settings; without them, the mistakes have been printed and the exit code is set. */
function environmentConfig(): { config: Config | undefined; warnings: string[] } {
  const mistake = loadDotEnv()
  const { config, mistakes = [], warnings } = readConfig(process.env)
  if (config !== undefined && mistake === undefined) return { config, warnings }
  const lines = [
    ...(mistake === undefined ? [] : [mistake]),
    ...mistakes,
    ...warnings.map((line) => `(warning) ${line}`)
  ]
  end(EXIT.config, `demos-relay: the settings are wrong.\n${lines.map((line) => `  ${line}\n`).join('')}`)
  return { config: undefined, warnings }
}

/** Takes what `.env` of the working directory adds to the environment; a missing file is fine. */
function loadDotEnv(): string | undefined {
  try {
    process.loadEnvFile('.env')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') return `.env cannot be read (${code}).`
  }
  return undefined
}

async function serve(config: Config, warnings: string[]): Promise<void> {
  const log = createLogger(config, { terminal, colours })
  for (const warning of warnings) log.warn(warning)
  try {
    const { startServer } = await import('./server.ts')
    const starting = startServer(config, { logger: log })
    const stop = stopOnSignals(() => starting.then((server) => server.close()), config.SHUTDOWN_GRACE_SECONDS, log)
    const { addresses } = await starting
    if (stop.begun()) return
    const facts = serverFacts(config, addresses, VERSION)
    if (terminal) process.stdout.write(banner(facts, { colours, width: Math.min(process.stdout.columns || 80, 80) }))
    else log.info(facts, 'server ready')
  } catch (error) {
    // A door's message says all there is to say; anything else needs its stack.
    log.fatal(error instanceof DoorError ? { reason: error.message } : { err: error }, 'server could not start')
    process.exit(EXIT.failed)
  }
}

/**
 * The first signal stops the server within the grace; a later one ends the process at once.
 * So does a crash: it is logged, the server stops, and the exit code is 1.
 */
function stopOnSignals(close: () => Promise<void>, graceSeconds: number, log: Logger): { begun(): boolean } {
  const ours = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const options = {
    delay: graceSeconds * 1_000 + DATABASE_STOP_MS,
    logger: closingLog(log),
    skip: [...ours, ...FAULTS]
  }
  let begun = false
  const graceful = closeWithGrace(options, async ({ err }) => {
    begun = true
    if (err) log.fatal({ err }, 'unexpected error, stopping')
    await close()
    log.info('server stopped')
  })
  let firstAt: number | undefined
  const onSignal = (signal: (typeof ours)[number]) => {
    if (firstAt === undefined) {
      firstAt = performance.now()
      log.info({ signal }, 'stopping')
      graceful.close()
    } else if (performance.now() - firstAt > BURST_MS) {
      log.warn({ signal }, 'stopping at once')
      process.exit(128 + constants.signals[signal])
    }
  }
  for (const signal of ours) process.on(signal, onSignal)
  return { begun: () => begun }
}

/** close-with-grace speaks in sentences and bare errors; both become log lines of ours. */
function closingLog(log: Logger): { error(problem: unknown): void } {
  return {
    error: (problem) => log.error(typeof problem === 'string' ? { problem } : { err: problem }, 'stop went wrong')
  }
}

function end(code: number, words: string): void {
  process.stderr.write(words)
  process.exitCode = code
}
