import { wrapped } from '../util/words.ts'
import { type Action, type Command, EXIT_MEANINGS, type ExitCode, type Options } from './command.ts'
import { COMMANDS } from './commands.ts'

const WIDTH = 80

const rows = (pairs: readonly (readonly [string, string])[]): string[] => {
  const left = Math.min(28, Math.max(...pairs.map(([name]) => name.length)))
  return pairs.flatMap(([name, about]) => {
    const lines = wrapped(about, WIDTH - left - 5)
    const head = name.length > left ? [`  ${name}`] : []
    const first = head.length > 0 ? ''.padEnd(left) : name.padEnd(left)
    return [...head, ...lines.map((line, at) => `  ${at === 0 ? first : ''.padEnd(left)}  ${line}`)]
  })
}

/** How to call the program, in short: after a call that is not understood. */
export function usage(): string {
  const list = COMMANDS.map(({ name, summary }) => [name, summary] as const)
  const more = [
    ['help COMMAND', 'more about one of them; also COMMAND --help'],
    ['--version', 'the version']
  ] as const
  return `Usage: demos-relay [command]

${rows([...list, ...more]).join('\n')}

Exit codes: ${exitCodes([0, 1, 2, 69, 75, 77, 78])}
`
}

/** `--help`: the commands and every setting. */
export const generalHelp = (settings: string): string => `${usage()}
Settings are environment variables; a file .env in the working directory may
hold them too, and the environment wins. Defaults are in brackets.

${settings}
`

/** `COMMAND --help`. */
export function commandHelp(command: Command): string {
  const { about = [], actions, options = {} } = command
  const sections = [usageOf(command), ...about.map((paragraph) => wrapped(paragraph, WIDTH).join('\n'))]
  if (actions.length > 1)
    sections.push(rows(actions.map((action) => [callOf(command, action), action.about])).join('\n'))
  const own = Object.assign({}, ...actions.map((action) => action.options), options) as Options
  const list = Object.entries(own).map(([name, { value, about }]) => [optionName(name, value), about] as const)
  sections.push(rows([...list, ['--help', 'this text']]).join('\n'))
  sections.push(`Exit codes: ${exitCodes(codesOf(command), command.exits)}`)
  return `${sections.join('\n\n')}\n`
}

/** The lines that say how to call it. */
export function usageOf(command: Command): string {
  const lines = command.actions.flatMap((action) => {
    const parts = [
      ...(command.handsOn ? ['[options]'] : []),
      ...optionsOf(action),
      ...(command.options ? ['[options]'] : [])
    ]
    return joined(`demos-relay ${callOf(command, action)}`, parts)
  })
  return lines.map((line, at) => `${at === 0 ? 'Usage: ' : '       '}${line}`).join('\n')
}

export const codesOf = ({ exits = {} }: Command): ExitCode[] =>
  [...new Set([0, 1, 2, ...Object.keys(exits).map(Number)])].sort((a, b) => a - b) as ExitCode[]

export const meaningOf = (code: ExitCode, exits: Command['exits'] = {}): string => exits[code] ?? EXIT_MEANINGS[code]

export const callOf = (command: Command, { name, takes = [] }: Action): string =>
  [command.name, name, ...takes].filter((word) => word !== '').join(' ')

export const optionName = (name: string, value: string | undefined) =>
  `--${name}${value === undefined ? '' : ` ${value}`}`

const optionsOf = ({ options = {} }: Action) =>
  Object.entries(options).map(([name, { value, required }]) =>
    required ? optionName(name, value) : `[${optionName(name, value)}]`
  )

/** The words in lines that fit beside "Usage: "; further lines are indented. */
function joined(head: string, parts: readonly string[]): string[] {
  const lines = [head]
  for (const part of parts) {
    const last = lines.at(-1)!
    if (last.length + 1 + part.length <= WIDTH - 7) lines[lines.length - 1] = `${last} ${part}`
    else lines.push(`    ${part}`)
  }
  return lines
}

function exitCodes(codes: readonly ExitCode[], exits: Command['exits'] = {}): string {
  const text = `${codes.map((code) => `${code} ${meaningOf(code, exits)}`).join(', ')}.`
  return wrapped(text, WIDTH - 12).join('\n            ')
}
