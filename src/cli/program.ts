// The command line: every command on one commander program.
import { Command, CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { closestMatch } from 'leven'
import { configHelp } from '../docs/settings.ts'
import { VERSION } from '../util/package-root.ts'
import { addAudit } from './audit.ts'
import { addBackup, addRestore } from './backup.ts'
import { addBench } from './bench.ts'
import { addChat } from './chat.ts'
import {
  CommandError,
  EXIT,
  EXIT_MEANINGS,
  type ExitCode,
  exitCodes,
  HELP_WIDTH,
  type Io,
  UsageError,
  wrapped
} from './command.ts'
import { addConformance } from './conformance.ts'
import { addEvents } from './events.ts'
import { addIdentities } from './identities.ts'
import { addKeygen } from './keygen.ts'
import { addNetworks } from './networks.ts'
import { addPeers } from './peers.ts'
import { addQueues } from './queues.ts'
import { addRelays } from './relays.ts'
import { addCheckConfig, addCheckHealth, addServe } from './serve.ts'
import { addStatus } from './status.ts'
import { addTokens } from './tokens.ts'

/** Commands in the order of the help. Their modules declare them; what a command runs is loaded when it is called. */
const COMMANDS = [
  ...[addServe, addCheckConfig, addCheckHealth, addKeygen, addTokens],
  ...[addStatus, addRelays, addPeers, addQueues, addIdentities, addNetworks, addEvents],
  ...[addAudit, addBackup, addRestore],
  ...[addChat, addConformance, addBench]
]

export function createProgram(io: Io): Command {
  const program = new Command('demos-relay')
    .version(VERSION, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions() // -v and --version count before a command only
    .exitOverride()
    .showHelpAfterError()
    .configureHelp({
      showGlobalOptions: true,
      visibleGlobalOptions: ({ parent }) => (parent?.parent ? [...parent.options] : []), // those of the group
      minWidthToWrap: 20
    })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error/, 'demos-relay')),
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH
    })
    .addHelpText('after', ({ error }) => (error ? '' : endOfHelp()))
  for (const add of COMMANDS) add(program, io)
  addHelpCommand(program)
  program.command('version', { hidden: true }).action(() => void io.stdout.write(`${VERSION}\n`))
  for (const group of [program, ...program.commands]) group.hook('preSubcommand', refuseUnknownCommand)
  return program
}

/** Runs what the arguments ask for. Resolves to the exit code; what went wrong has been printed to standard error. */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  const program = createProgram(io)
  let running: CommandUnknownOpts = program
  program.hook('preAction', (_program, command) => {
    running = command
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const { exit, message } = error instanceof CommandError ? error : unexpected(error)
    if (error instanceof UsageError) {
      io.stderr.write(`demos-relay: ${message}\n\n`)
      running.outputHelp({ error: true })
    } else if (message !== '') io.stderr.write(`demos-relay${nameInErrors(running)}: ${message}\n`)
    return exit
  }
}

/** An AggregateError, as of a refused connection, has no message; its name is better than nothing. */
const unexpected = (error: unknown) => ({ exit: EXIT.failed, message: (error as Error).message || String(error) })

const endOfHelp = (): string => `
${wrapped(`Exit codes: ${exitCodes(EXIT_MEANINGS)}.`)}

${wrapped('Settings are environment variables; a file .env in the working directory may hold them too, and the environment wins. Defaults are in brackets.')}

${configHelp()}`

function addHelpCommand(program: Command): void {
  program
    .command('help')
    .description('print the help of a command; so does COMMAND --help')
    .argument('[command...]')
    .action((names) => {
      let command: CommandUnknownOpts = program
      for (const name of names) {
        command = command.commands.find((subcommand) => subcommand.name() === name) ?? unknownCommand(command, name)
      }
      command.help()
    })
}

/** Commander hands an unknown word to the default command of a group; here it is a mistake. */
function refuseUnknownCommand(group: CommandUnknownOpts, command: CommandUnknownOpts): void {
  const [word = ''] = group.args
  if (word !== '' && !word.startsWith('-') && word !== command.name()) unknownCommand(group, word)
}

function unknownCommand(group: CommandUnknownOpts, word: string): never {
  const names = group.commands.map((command) => command.name())
  const meant = closestMatch(word.toLowerCase(), names, { maxDistance: word.length < 4 ? 1 : 2 })
  return group.error(`error: unknown command '${word}'${meant === undefined ? '' : `\n(Did you mean ${meant}?)`}`)
}

/** The server's own commands speak for the program. */
function nameInErrors(command: CommandUnknownOpts): string {
  let top = command
  while (top.parent?.parent) top = top.parent
  return ['serve', 'check-config'].includes(top.name()) ? '' : ` ${top.name()}`
}
