import type { Paint } from './words.ts'

export interface Column<T> {
  readonly head: string
  readonly cell: (row: T) => string
  /** Numbers stand to the right. */
  readonly right?: true
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
