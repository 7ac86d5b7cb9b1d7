// Many rows in one statement.
import { randomUUID } from 'node:crypto'

type Texts<Row> = Readonly<Record<string, (row: Row) => string>>

/**
 * Columns of text for `rows from (string_to_table(…))`, a parameter each, and what separates their values. Not arrays of
 * texts: there the driver would escape every quote of a JSON text and Postgres undo that character by character, which
 * costs more than the rest.
 */
export function textColumns<Row, T extends Texts<Row>>(
  rows: readonly Row[],
  picks: T
): Record<keyof T | 'separator', string> {
  const columns = Object.entries(picks).map(([name, pick]) => [name, rows.map(pick)] as const)
  const isPlain = columns.every(([, texts]) => texts.every((text) => !text.includes('\n')))
  const separator = isPlain ? '\n' : `\n${randomUUID()}\n`
  const joined: Record<string, string> = { separator }
  for (const [name, texts] of columns) joined[name] = texts.join(separator)
  return joined as Record<keyof T | 'separator', string>
}

/** A column of integers as one parameter: `unnest($1::text::bigint[])`. */
export const numberColumn = <Row>(rows: readonly Row[], pick: (row: Row) => number | bigint): string =>
  `{${rows.map(pick).join(',')}}`

/** Up to so many rows go into a statement as `values`; more are columns, as above, which costs less for each but more for all. */
export const FEW_ROWS = 4

/** Names of parameters for rows of `values`: `$first` and on, so many for each row. */
export const parametersOf = (rows: number, columns: number, first: number): string[][] =>
  Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => `$${first + row * columns + column}`)
  )

/** Texts of statements by what they are made of: the same text each time, so that Postgres knows it. */
export function remembered<A extends readonly (number | boolean)[]>(make: (...of: A) => string): (...of: A) => string {
  const texts = new Map<string, string>()
  return (...of) => {
    const name = of.join()
    const text = texts.get(name) ?? make(...of)
    texts.set(name, text)
    return text
  }
}
