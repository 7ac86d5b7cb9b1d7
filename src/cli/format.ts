// How numbers, times and names are written for people.
import { escapeUnseen } from '../util/visible.ts'

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1]
] as const

/** A span of time in its largest unit: "3 minutes". */
export function span(seconds: number): string {
  for (const [unit, size] of UNITS) {
    const count = Math.floor(seconds / size)
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'}`
  }
  return 'no time'
}

/** How long ago it was. */
export const ago = (seconds: number): string => (seconds < 1 ? 'just now' : `${span(seconds)} ago`)

export const agoOf = (time: string, now: number): string => ago((now - Date.parse(time)) / 1_000)

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** "512 B", "3.46 MB": a kB is 1,000 bytes, and there are three digits, here as in the console. */
export function size(bytes: number): string {
  let [value, unit] = [bytes, 0]
  for (; value >= 999.5 && unit < SIZES.length - 1; unit++) value /= 1_000
  return `${Number(value.toPrecision(3))} ${SIZES[unit]}`
}

export const number = (value: number): string => value.toLocaleString('en')

export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`

/** Longest name that is shown in full, in characters. */
const NAME_WIDTH = 24

/** A shortened name: a key by its beginning and end, any other long name by its beginning. */
export function shortName(name: string): string {
  if (name.length <= NAME_WIDTH) return plain(name)
  if (/^(?:[a-z-]+:)?[0-9a-f]{64}$/.test(name)) return `${name.slice(0, name.length - 56)}…${name.slice(-4)}`
  return `${plain(name.slice(0, NAME_WIDTH - 1))}…`
}

/**
 * Makes untrusted text safe for a terminal: characters that move the cursor, change colours or the writing direction, or
 * are not seen, are written as escapes, and the text stays on one line.
 */
export const plain = (text: string): string => escapeUnseen(text.replaceAll('\n', '\\n'))

const STYLES = {
  bold: '\x1b[1m',
  dim: '\x1b[2m',
  cyan: '\x1b[36m',
  green: '\x1b[32m',
  red: '\x1b[31m',
  yellow: '\x1b[33m'
}
export type Style = keyof typeof STYLES
export type Paint = (style: Style, text: string) => string

/** Paints with colours, or returns the text as it is. */
export const painter =
  (colours: boolean): Paint =>
  (style, text) =>
    colours ? `${STYLES[style]}${text}\x1b[0m` : text
