import { type Call, EXIT, type ExitCode, type Io, type Options } from './command.ts'
import { type Column, table } from './table.ts'
import { counted, painter } from './words.ts'

export const LIMIT: Options = { limit: { value: 'N', about: 'at most so many; default: all of them' } }
export const FULL: Options = { full: { about: 'names and keys in full' } }

export const printJson = (value: unknown, io: Io): void => void io.stdout.write(`${JSON.stringify(value)}\n`)

/** A list as a table that ends with its count, or as JSON: an object with the list under its name. */
export function printList<T>(
  one: string,
  rows: readonly T[],
  call: Call,
  io: Io,
  columns: readonly Column<T>[]
): ExitCode {
  if (call.flag('json')) printJson({ [`${one}s`]: rows }, io)
  else {
    const paint = painter(io.colours)
    if (rows.length > 0) io.stdout.write(table(rows, columns, paint))
    const isCut = rows.length === call.count('limit')
    io.stdout.write(paint('dim', `${counted(rows.length, one)}${isCut ? '; there may be more, see --limit' : ''}\n`))
  }
  return EXIT.ok
}
