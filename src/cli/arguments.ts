import { parseArgs } from 'node:util'
import { nearestTo } from '../util/words.ts'
import { type Action, type Call, type Command, type Options, UsageError } from './command.ts'
import { COMMANDS, commandNamed } from './commands.ts'

/** What the command line asks for. */
export type Request =
  | { readonly ask: 'run'; readonly command: Command; readonly rest: readonly string[] }
  | { readonly ask: 'help'; readonly command: Command | undefined }
  | { readonly ask: 'version' }
  | { readonly ask: 'unknown'; readonly complaint: string }

/** Two slips are as many as leave a short word recognisable. */
const nearest = (word: string, names: readonly string[]) => nearestTo(word, names, ({ length }) => (length < 4 ? 1 : 2))

const HELP = ['--help', '-h']
const VERSION = ['--version', '-v']

/** Reads the arguments; `serve` is meant when there is no command. Whoever asks for help gets it and starts nothing. */
export function readRequest(args: readonly string[]): Request {
  const [first, ...rest] = args
  const command = commandNamed(first)
  const own = command === undefined ? args : rest
  const before = own.includes('--') ? own.slice(0, own.indexOf('--')) : own
  if (before.some((arg) => HELP.includes(arg))) return { ask: 'help', command }
  if (first === 'help') return helpWith(rest)
  if (first === 'version' || (command === undefined && before.some((arg) => VERSION.includes(arg)))) {
    return { ask: 'version' }
  }
  if (command !== undefined && command.name !== 'serve') return { ask: 'run', command, rest: own }
  if (own.includes('--check-config')) {
    const others = own.filter((arg) => arg !== '--check-config')
    return { ask: 'run', command: commandNamed('check-config')!, rest: others }
  }
  if (command === undefined && first !== undefined) return { ask: 'unknown', complaint: complaintAbout(first) }
  return { ask: 'run', command: commandNamed('serve')!, rest: own }
}

function helpWith([name]: readonly string[]): Request {
  const command = commandNamed(name)
  if (name !== undefined && command === undefined) return { ask: 'unknown', complaint: complaintAbout(name) }
  return { ask: 'help', command }
}

function complaintAbout(word: string): string {
  if (word.startsWith('-')) return `unknown argument "${word}"`
  const names = [...COMMANDS.map(({ name }) => name), 'help', 'version']
  const meant = nearest(word.toLowerCase(), names)
  return `unknown command "${word}"${meant === undefined ? '' : `. Did you mean ${meant}?`}`
}

/** The action a call means, and its arguments. Throws `UsageError`. */
export function readCall(command: Command, args: readonly string[]): { action: Action; call: Call } {
  if (command.handsOn) return { action: command.actions[0]!, call: callOf(args, {}) }
  const every = Object.assign({}, command.options, ...command.actions.map(({ options }) => options)) as Options
  const { values, positionals } = parse(args, every)
  const named = command.actions.find(({ name }) => name !== '' && name === positionals[0])
  const action = named ?? command.actions.find(({ name }) => name === '')
  if (action === undefined) throw new UsageError(missingAction(command, positionals[0]))
  const given = named === undefined ? positionals : positionals.slice(1)
  checkArguments(command, action, given)
  const known = { ...command.options, ...action.options }
  for (const option of Object.keys(values)) {
    if (known[option] === undefined) throw new UsageError(`--${option} is no option of ${fullName(command, action)}`)
  }
  for (const [option, { required, value }] of Object.entries(known)) {
    if (required && values[option] === undefined) throw new UsageError(`--${option} ${value} is missing`)
  }
  return { action, call: callOf(given, values) }
}

type Values = Record<string, string | boolean | undefined>

function parse(args: readonly string[], every: Options): { values: Values; positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries(every).map(([name, { value }]) => [
      name,
      { type: value === undefined ? 'boolean' : 'string' } as const
    ])
  )
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw new UsageError(complaintOf(error as Error & { code?: string }, args, every))
  }
}

/** Node's own sentences are about programs; the one slip people make often gets a better one. */
function complaintOf(error: Error & { code?: string }, args: readonly string[], every: Options): string {
  if (error.code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return error.message.replace(/\.? To specify.*$/s, '')
  const wrong = args.find((arg) => arg.startsWith('-') && every[arg.slice(2).split('=')[0]!] === undefined) ?? args[0]!
  const name = wrong.split('=')[0]!
  const meant = nearest(name.slice(2), Object.keys(every))
  return `unknown argument "${name}"${meant === undefined ? '' : `. Did you mean --${meant}?`}`
}

function checkArguments(command: Command, action: Action, given: readonly string[]): void {
  const { takes = [] } = action
  if (given.length < takes.length) throw new UsageError(`${takes[given.length]} is missing`)
  const [extra] = given.slice(takes.length)
  if (extra === undefined) return
  const names = command.actions.map(({ name }) => name).filter((name) => name !== '')
  const meant = action.name === '' ? nearest(extra, names) : undefined
  throw new UsageError(`unknown argument "${extra}"${meant === undefined ? '' : `. Did you mean ${meant}?`}`)
}

function missingAction(command: Command, word: string | undefined): string {
  const names = command.actions.map(({ name }) => name)
  const meant = word === undefined ? undefined : nearest(word, names)
  if (word === undefined) return `say what to do: ${names.join(', ')}`
  return `unknown argument "${word}"${meant === undefined ? '' : `. Did you mean ${meant}?`}`
}

const fullName = (command: Command, { name }: Action) => `${command.name}${name === '' ? '' : ` ${name}`}`

function callOf(args: readonly string[], values: Values): Call {
  const text = (option: string) => values[option] as string | undefined
  return {
    args,
    text,
    flag: (option) => values[option] === true,
    count: (option) => {
      const given = text(option)
      if (given === undefined || /^[1-9]\d{0,8}$/.test(given)) return given === undefined ? undefined : Number(given)
      throw new UsageError(`--${option} must be a whole number from 1, not "${given}"`)
    }
  }
}
