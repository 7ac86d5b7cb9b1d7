import { configHelp } from './config/print.ts'

/** What the command line asks for. */
export type Command = 'serve' | 'check-config' | 'help' | 'version'

const COMMANDS = new Map<string, Command>([
  ['serve', 'serve'],
  ['check-config', 'check-config'],
  ['--check-config', 'check-config'],
  ['help', 'help'],
  ['--help', 'help'],
  ['-h', 'help'],
  ['version', 'version'],
  ['--version', 'version'],
  ['-v', 'version']
])

/** The command in the arguments (`serve` when there are none), or the argument nobody understands. */
export function parseArguments(args: readonly string[]): { command: Command } | { unknown: string } {
  const unknown = args.find((arg) => !COMMANDS.has(arg))
  if (unknown !== undefined) return { unknown }
  const commands = args.map((arg) => COMMANDS.get(arg)!)
  // Whoever asks for help gets it and starts nothing; `serve --check-config` checks.
  for (const harmless of ['help', 'version', 'check-config'] as const) {
    if (commands.includes(harmless)) return { command: harmless }
  }
  return { command: 'serve' }
}

/** How to call the program: printed on --help and, without the settings, after a call that is not understood. */
export const USAGE = `Usage: demos-relay [command]

  serve          start the server (the default)
  check-config   check the environment's settings and stop; also --check-config
  --help         this text and every setting
  --version      the version

Exit codes: 0 fine, 1 failed, 2 not a command, 78 wrong settings.
`

export const helpText = (): string => `${USAGE}
Settings are environment variables; a file .env in the working directory may
hold them too, and the environment wins. Defaults are in brackets.

${configHelp()}
`
