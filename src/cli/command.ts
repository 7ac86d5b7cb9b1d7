// What the commands share: exit codes, errors, what they see of the process, and the end of their help.
import type { ReadStream, WriteStream } from 'node:tty'
import { type CommandUnknownOpts, Help, InvalidArgumentError } from '@commander-js/extra-typings'
import type { Config } from '../config/schema.ts'

/** What the exit code tells a script; 69 to 78 as in sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 69, later: 75, token: 77, settings: 78 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: 'success',
  [EXIT.failed]: 'failed',
  [EXIT.usage]: 'wrong command, option or argument',
  [EXIT.unreachable]: 'no server answers',
  [EXIT.later]: 'not now, try again later',
  [EXIT.token]: 'token missing or wrong',
  [EXIT.settings]: 'wrong settings'
}

/** Ends a command with an exit code and a sentence for standard error; without a sentence nothing more is printed. */
export class CommandError extends Error {
  override name = 'CommandError'
  readonly exit: ExitCode

  constructor(exit: ExitCode, sentence = '', options?: ErrorOptions) {
    super(sentence, options)
    this.exit = exit
  }
}

/** The options or arguments do not fit: the help of the command is printed too. */
export class UsageError extends CommandError {
  override name = 'UsageError'

  constructor(sentence: string) {
    super(EXIT.usage, sentence)
  }
}

/** Every mistake in the settings, a line each. */
export function settingsAreWrong(mistakes: readonly string[], warnings: readonly string[]): string {
  const lines = [...mistakes, ...warnings.map((line) => `(warning) ${line}`)]
  return `the settings are wrong.\n${lines.map((line) => `  ${line}`).join('\n')}`
}

/** What a command sees of the process: main.ts hands it over. */
export interface Io {
  readonly stdin: ReadStream
  readonly stdout: WriteStream
  readonly stderr: WriteStream
  readonly colours: boolean
  /** Directory for the files of a person, like the keys of `chat`. */
  readonly configHome: string
  /** The checked settings of the environment and `.env`. Rejects with a `CommandError` (78) that has every mistake. */
  settings(): Promise<{ readonly config: Config; readonly warnings: readonly string[] }>
  /** Aborted by Ctrl-C or SIGTERM; a command that does not call this is ended by them. */
  interruption(): AbortSignal
  /** Runs the server until it is stopped; resolves when it has started, or has failed to. */
  serve(): Promise<ExitCode>
}

/** Columns of the help. */
export const HELP_WIDTH = 80

export const wrapped = (text: string): string => new Help().boxWrap(text, HELP_WIDTH)

type Exits = Readonly<Partial<Record<ExitCode, string>>>

/** These exit codes with their usual meaning. */
export const usual = (...codes: ExitCode[]): Exits =>
  Object.fromEntries(codes.map((code) => [code, EXIT_MEANINGS[code]]))

/** "0 success, 1 failed, …": the codes every command has, and these. */
export const exitCodes = (exits: Exits): string =>
  Object.entries({ ...usual(EXIT.ok, EXIT.failed, EXIT.usage), ...exits })
    .map(([code, meaning]) => `${code} ${meaning}`)
    .join(', ')

/** Ends the help of a command and of its subcommands with paragraphs and exit codes. After an error they are left out. */
export function endHelp(command: CommandUnknownOpts, paragraphs: readonly string[], exits: Exits = {}): void {
  const end = [...paragraphs, `Exit codes: ${exitCodes(exits)}.`].map(wrapped).join('\n\n')
  command.addHelpText('afterAll', ({ error }) => (error ? '' : `\n${end}`))
}

/** Reads the value of an option that takes a whole number. */
export function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number from 1.')
}
