// What the commands write: tables, JSON, a status line, and the question before something is deleted.
import { createInterface } from 'node:readline/promises'
import type { WriteStream } from 'node:tty'
import { Option } from '@commander-js/extra-typings'
import { escapeUnseen } from '../util/visible.ts'
import { type Io, UsageError, wholeNumber } from './command.ts'
import { counted, type Paint, painter } from './format.ts'

export const LIMIT = new Option('--limit <n>', 'list at most n; default: all').argParser(wholeNumber)
export const SEARCH = new Option(
  '--search <text>',
  'only names that begin so; upper or lower case (A to Z) is the same'
)
export const sortOption = (keys: string) =>
  new Option('--sort <order>', `${keys}; with a minus in front, like --sort=-name: descending`)
export const FULL = new Option('--full', 'print names and keys in full')
export const YES = new Option('--yes', 'do not ask; needed where there is no terminal')

/** On one line. JSON escapes only the controls of ASCII: the other characters that are not seen are escaped here. */
export const printJson = (value: unknown, io: Io): void =>
  void io.stdout.write(`${escapeUnseen(JSON.stringify(value))}\n`)

export interface Column<T> {
  readonly head: string
  readonly cell: (row: T) => string
  /** Aligned to the right, as numbers are. */
  readonly right?: true
}

/**
 * A list as a table that ends with its count, or as JSON: an object with the list under its name. `what`: what one is
 * called, and several, where that is more than an s.
 */
export function printList<T>(
  what: string | readonly [one: string, many: string],
  rows: readonly T[],
  { json, limit }: { json?: true | undefined; limit?: number | undefined },
  io: Io,
  columns: readonly Column<T>[]
): void {
  const [one, many] = typeof what === 'string' ? [what, `${what}s`] : what
  if (json) {
    printJson({ [many]: rows }, io)
    return
  }
  const paint = painter(io.colours)
  if (rows.length > 0) io.stdout.write(table(rows, columns, paint))
  const more = rows.length === limit ? '; there may be more, see --limit' : ''
  io.stdout.write(paint('dim', `${counted(rows.length, one, many)}${more}\n`))
}

/** The rows below their heads, aligned; columns two spaces apart. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[], paint: Paint): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
  const widths = columns.map(({ head }, at) => Math.max(head.length, ...cells.map((row) => [...row[at]!].length)))
  const line = (texts: readonly string[]) =>
    texts
      .map((text, at) => {
        const space = ' '.repeat(widths[at]! - [...text].length)
        return columns[at]!.right ? space + text : text + space
      })
      .join('  ')
      .trimEnd()
  return [paint('bold', line(columns.map(({ head }) => head))), ...cells.map(line)].map((text) => `${text}\n`).join('')
}

/** Asks a person on a terminal; resolves to whether the answer was yes. Without a terminal --yes is needed. */
export async function confirm(question: string, io: Io): Promise<boolean> {
  if (!io.stdin.isTTY || !io.stderr.isTTY) throw new UsageError(`${question} Say so with --yes`)
  const prompt = createInterface({ input: io.stdin, output: io.stderr })
  try {
    const answer = await prompt.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    prompt.close()
  }
}

/** Shortest time between two redraws of the status line, ms: terminals are slow. */
const REDRAW_MS = 100
const CLEAR_LINE = '\r\x1b[K'

/** A line with the progress of long work: overwritten by the next one on a terminal, not printed elsewhere. */
export function statusLine(stream: WriteStream): { show(text: string): void; clear(): void } {
  let shownAt = Number.NEGATIVE_INFINITY
  let isShown = false
  return {
    show(text) {
      if (!stream.isTTY || performance.now() - shownAt < REDRAW_MS) return
      shownAt = performance.now()
      isShown = true
      stream.write(CLEAR_LINE + text.slice(0, (stream.columns || 80) - 1))
    },
    clear() {
      if (isShown) stream.write(CLEAR_LINE)
      isShown = false
    }
  }
}
