import { randomUUID } from 'node:crypto'
import type { AnySql } from './database.ts'

/**
 * Columns for `rows from (…)`, a parameter each, made from rows of ours. Not arrays of texts: there the driver would
 * escape every quote of a JSON text and Postgres undo that character by character, which costs more than the rest.
 */
export function columnsOf<Row>(sql: AnySql, rows: readonly Row[]) {
  return {
    text(pick: (row: Row) => string) {
      const texts = rows.map(pick)
      const delimiter = texts.some((text) => text.includes('\n')) ? `\n${randomUUID()}\n` : '\n'
      return sql`string_to_table(${texts.join(delimiter)}::text, ${delimiter}::text)`
    },
    number: (pick: (row: Row) => number) => sql`unnest(${`{${rows.map(pick).join(',')}}`}::text::bigint[])`
  }
}
