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
  const joined = columns.map(([name, texts]) => [name, texts.join(separator)])
  return { ...Object.fromEntries(joined), separator }
}

/** A column of integers as one parameter: `unnest($1::text::bigint[])`. */
export const numberColumn = <Row>(rows: readonly Row[], pick: (row: Row) => number): string =>
  `{${rows.map(pick).join(',')}}`
