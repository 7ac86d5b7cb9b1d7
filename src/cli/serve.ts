// The server itself: start it, check its settings, ask whether it runs.
import { get as getPlain } from 'node:http'
import { get as getByTls } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from '@commander-js/extra-typings'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { hostToReach } from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io, settingsAreWrong, usual, wholeNumber } from './command.ts'

export function addServe(program: Command, io: Io): void {
  const serve = program
    .command('serve', { isDefault: true })
    .description('start the server (the default)')
    .option('--check-config', 'only check the settings, as check-config does')
    .action(async ({ checkConfig }) => {
      if (checkConfig) return checkSettings(io)
      const exit = await io.serve()
      if (exit !== EXIT.ok) throw new CommandError(exit)
    })
  const settings =
    'Everything is set by environment variables; demos-relay --help lists them. Without any, an embedded PostgreSQL runs under ./data. SIGTERM or Ctrl-C stops the server gracefully, a second one at once.'
  endHelp(serve, [settings], { [EXIT.failed]: 'could not start, or crashed', ...usual(EXIT.settings) })
}

export function addCheckConfig(program: Command, io: Io): void {
  const check = program
    .command('check-config')
    .description('check the settings of the environment; the same as --check-config')
    .action(() => checkSettings(io))
  endHelp(
    check,
    ['Prints every mistake at once. Reads the files of secrets and certificates, connects to nothing.'],
    usual(EXIT.settings)
  )
}

async function checkSettings(io: Io): Promise<void> {
  const { config, warnings } = await io.settings()
  const { certificateMistake } = await import('../http/tls/certificate.ts')
  const mistake = (await certificateMistake(config)) ?? (await connectionMistake(config))
  if (mistake !== undefined) throw new CommandError(EXIT.settings, settingsAreWrong([mistake], warnings))
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
  io.stdout.write('The settings are fine.\n')
}

async function connectionMistake({ DATABASE_URL: url }: Config): Promise<string | undefined> {
  if (url === undefined) return undefined
  const { readConnectionString } = await import('../database/connection-string.ts')
  try {
    readConnectionString(url, process.env)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

export function addCheckHealth(program: Command, io: Io): void {
  const check = program
    .command('check-health')
    .description('ask the server with these settings whether it is alive')
    .option('--wait <seconds>', 'ask until it is alive, at most so long', wholeNumber)
    .action(async ({ wait = 0 }) => {
      const { config } = await io.settings()
      const problem = await waitForHealth(config, wait * 1_000)
      if (problem !== undefined) throw new CommandError(EXIT.failed, problem)
    })
  endHelp(
    check,
    [
      'For the health check of a container, and for systemd to wait for the start: asks on this machine, over TLS where the settings say so. Prints nothing when the server is alive.'
    ],
    { [EXIT.ok]: 'alive', [EXIT.failed]: 'not alive, or no server answers', ...usual(EXIT.settings) }
  )
}

/** Rest between two questions, in ms. */
const ASK_AGAIN_MS = 250

async function waitForHealth(config: Config, ms: number): Promise<string | undefined> {
  for (const startedAt = performance.now(); ; await sleep(ASK_AGAIN_MS)) {
    const problem = await checkHealth(config)
    if (problem === undefined || performance.now() - startedAt >= ms) return problem
  }
}

/** Longest the server may take to answer, in ms. */
const DEADLINE_MS = 2_500

/**
 * Asks the server with these settings, from its own machine, whether it is alive. Undefined: it is; else what is wrong.
 * The certificate is not checked: it rarely names the loopback address, and nothing secret is sent.
 */
export function checkHealth(config: Config): Promise<string | undefined> {
  const port = signalingPort(config)
  if (port === 0) {
    return Promise.resolve('The port is chosen by the system: set RPC_SIGNALING_PORT to the one the server got.')
  }
  const [scheme, get] = config.TLS_CERT_FILE === undefined ? ['http', getPlain] : ['https', getByTls]
  const url = `${scheme}://${hostToReach(config.HOST)}:${port}/health/live`
  return new Promise((resolve) => {
    const request = get(url, { timeout: DEADLINE_MS, rejectUnauthorized: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? undefined : `The server answered ${response.statusCode}.`)
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${DEADLINE_MS} ms`)))
    request.on('error', ({ message }) => resolve(`No server at port ${port}: ${message}.`))
  })
}
