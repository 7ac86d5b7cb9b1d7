// What a command is. Parsing, `--help`, docs/cli.md and the tests derive from this one declaration.
import type { ReadStream, WriteStream } from 'node:tty'
import type { Config } from '../config/schema.ts'

/** What the exit code tells a script; 69 to 78 as in sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 69, later: 75, token: 77, settings: 78 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  [EXIT.ok]: 'fine',
  [EXIT.failed]: 'failed',
  [EXIT.usage]: 'not a call of this program',
  [EXIT.unreachable]: 'no server there',
  [EXIT.later]: 'not now, try again later',
  [EXIT.token]: 'token missing or wrong',
  [EXIT.settings]: 'wrong settings'
}

/** What these codes mean wherever they come from. */
export const usual = (...codes: ExitCode[]): Partial<Record<ExitCode, string>> =>
  Object.fromEntries(codes.map((code) => [code, EXIT_MEANINGS[code]]))

/** Ends a command with a sentence for standard error. */
export class CommandError extends Error {
  override name = 'CommandError'
  readonly exit: ExitCode

  constructor(exit: ExitCode, sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.exit = exit
  }
}

/** Every mistake in the settings, a line each. */
export function settingsAreWrong(mistakes: readonly string[], warnings: readonly string[]): string {
  const lines = [...mistakes, ...warnings.map((line) => `(warning) ${line}`)]
  return `the settings are wrong.\n${lines.map((line) => `  ${line}`).join('\n')}`
}

/** The call is not one the command understands: its usage is shown too. */
export class UsageError extends CommandError {
  override name = 'UsageError'

  constructor(sentence: string) {
    super(EXIT.usage, sentence)
  }
}

export interface OptionSpec {
  /** What stands for its value in the help; without it the option is a switch. */
  readonly value?: string
  readonly about: string
  readonly required?: true
}
export type Options = Readonly<Record<string, OptionSpec>>

/** One thing a command does. */
export interface Action {
  /** The word after the command's name; '': what it does without one. */
  readonly name: string
  /** Names of its arguments, in order. All are needed. */
  readonly takes?: readonly string[]
  readonly about: string
  /** Its own options, beside those of the command. */
  readonly options?: Options
  run(call: Call, io: Io): Promise<ExitCode>
}

export interface Command {
  readonly name: string
  /** For the list of commands. */
  readonly summary: string
  /** Paragraphs below the usage. */
  readonly about?: readonly string[]
  readonly actions: readonly Action[]
  /** Options of every action. */
  readonly options?: Options
  /** Exit codes it may end with besides 0, 1 and 2, and what 0 and 1 say where it is more than fine and failed. */
  readonly exits?: Readonly<Partial<Record<ExitCode, string>>>
  /** Arguments are handed on as they are. */
  readonly handsOn?: true
}

/** The arguments of one call, checked against the declaration. */
export interface Call {
  readonly args: readonly string[]
  text(option: string): string | undefined
  flag(option: string): boolean
  /** A whole number from 1. Throws `UsageError` on anything else. */
  count(option: string): number | undefined
}

/** What a command sees of the process: main.ts hands it over. */
export interface Io {
  readonly stdin: ReadStream
  readonly stdout: WriteStream
  readonly stderr: WriteStream
  readonly colours: boolean
  /** Where a person's own settings are kept. */
  readonly configHome: string
  /** The checked settings of the environment and `.env`. Rejects with a `CommandError` (78) that has every mistake. */
  settings(): Promise<{ readonly config: Config; readonly warnings: readonly string[] }>
  /** Aborted by Ctrl-C or a SIGTERM; unless it is asked for, these end the process as ever. */
  interruption(): AbortSignal
  /** Runs the server until it is stopped; resolves when it has started, or has failed to. */
  serve(): Promise<ExitCode>
}
