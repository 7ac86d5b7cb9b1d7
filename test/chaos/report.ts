import { type ChaosResult, injected } from './run.ts'

export const COLUMNS = [
  ...['fault', 'injected', 'attempted', 'acknowledged', 'delivered', 'lost'],
  ...['duplicated', 'unexpected', 'out of order', 'false yes', 'silent', 'delivered again', 'late']
] as const

/** What a row of the table counts: one run, or several with the same faults. */
export type Row = readonly (string | number)[]

/** One row, in the order of `COLUMNS`. */
export function cells({ run, faults, verdict, late }: ChaosResult): Row {
  const { attempted, acknowledged, delivered, redelivered } = verdict
  const { lost, duplicated, unexpected, outOfOrder, falseYes, silent } = verdict
  return [
    run.nemeses.length === 0 ? 'none' : run.nemeses.length === 1 ? run.nemeses[0]! : 'mixed',
    ...[injected(faults), attempted, acknowledged, delivered],
    ...[lost, duplicated, unexpected, outOfOrder, falseYes, silent].map((list) => list.length),
    ...[redelivered, late.length]
  ]
}

/** The rows of several runs: those with the same fault added up. */
export function summed(results: readonly ChaosResult[]): Row[] {
  const sums = new Map<string, Row>()
  for (const [fault, ...counts] of results.map(cells)) {
    const before = sums.get(String(fault))
    const added = counts.map((count, column) => Number(count) + Number(before?.[column + 1] ?? 0))
    sums.set(String(fault), [String(fault), ...added])
  }
  return [...sums.values()]
}

/** The row as one line that explains itself. */
export const closingLine = (result: ChaosResult): string =>
  `${cells(result)
    .map((cell, column) => `${COLUMNS[column]} ${cell}`)
    .join(', ')} (seed ${result.run.seed})`

/** What is wrong, with examples: for an assertion's message. */
export function complaint(result: ChaosResult): string {
  const { verdict, late, problems, stories, run } = result
  const lists = Object.entries({ ...verdict, late }).flatMap(([what, list]) =>
    Array.isArray(list) && list.length > 0 ? [`${list.length} ${what}: ${list.slice(0, 5).join('; ')}`] : []
  )
  return [
    `seed ${run.seed}, ${run.nemeses.join(',') || 'no fault'}`,
    ...lists,
    ...problems.slice(0, 10),
    ...stories.slice(0, 5)
  ].join('\n')
}

export function table(rows: readonly Row[]): string {
  const lines = [COLUMNS, ...rows].map((row) => row.map(String))
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
    )
    .map((line) => line.join('  '))
    .join('\n')
}
