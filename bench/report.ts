import { availableParallelism, cpus, totalmem } from 'node:os'
import type { Row } from './bench.ts'
import { RAISED_LIMITS } from './contender.ts'
import type { BenchPostgres } from './database.ts'
import { isFlawless } from './load/verification.ts'
import type { Options } from './options.ts'
import type { Summary } from './statistics.ts'

/** A scenario that could not be finished. */
export interface Failure {
  readonly scenario: string
  readonly protocol: string
  readonly reason: string
}

/** Everything a run found out, as the JSON line has it. */
export interface Report {
  readonly ok: boolean
  readonly rows: readonly (Row & { readonly ok: boolean })[]
  readonly failures: readonly Failure[]
  readonly machine: Readonly<Record<string, string | number | boolean>>
  readonly settings: Readonly<Record<string, unknown>>
}

export function makeReport(
  rows: readonly Row[],
  failures: readonly Failure[],
  options: Options,
  postgres: BenchPostgres
): Report {
  const judged = rows.map((row) => ({ ...row, ok: row.verification === undefined || isFlawless(row.verification) }))
  return {
    ok: failures.length === 0 && judged.every((row) => row.ok),
    rows: judged,
    failures,
    machine: {
      processors: availableParallelism(),
      model: cpus()[0]?.model ?? 'unknown',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.versions.node,
      postgres: postgres.version,
      ...postgres.durability,
      databaseOnRamDisk: postgres.onRamDisk
    },
    settings: {
      quick: options.quick,
      repeat: options.repeat,
      bodyBytes: options.bodyBytes,
      raisedLimits: RAISED_LIMITS
    }
  }
}

/** The report for people. */
export function printed({ ok, rows, failures, machine, settings }: Report): string {
  const lines = [
    [
      'scenario',
      '',
      'this server',
      'beside',
      '',
      'ratio',
      'µs of CPU a message (server + db)',
      'load busy',
      'others busy',
      'checked'
    ],
    ...rows.map((row) => [
      `${row.scenario} ${row.protocol}`,
      row.title,
      `${spread(row.server)} ${row.unit}`,
      row.other === undefined ? '' : spread(row.other),
      row.other?.what ?? '',
      row.ratio === undefined ? '' : row.ratio.toFixed(2),
      cpu(row),
      percent(row.facts.serverLoadBusy),
      percent(row.facts.serverOthersBusy),
      row.verification === undefined ? '' : row.ok ? `${row.verification.received}` : 'FAILED'
    ])
  ]
  const limits = Object.entries(settings.raisedLimits as object).map(([name, value]) => `${name}=${value}`)
  return [
    table(lines),
    ...rows.flatMap((row) => extras(row)),
    ...rows
      .filter((row) => !row.ok)
      .map((row) => `FAILED ${row.scenario} ${row.title}: ${JSON.stringify(row.verification)}`),
    ...failures.map(({ scenario, protocol, reason }) => `FAILED ${scenario} ${protocol}: ${reason.split('\n')[0]}`),
    `median (min–max) of ${settings.repeat} runs each, alternating; ratio: median of neighbouring runs; bodies of ${settings.bodyBytes} bytes`,
    `raised for one address: ${limits.join(', ')}; everything else as by default`,
    `Postgres ${machine.postgres}: fsync ${machine.fsync}, synchronous_commit ${machine.synchronous_commit}` +
      `${machine.databaseOnRamDisk ? ', on a RAM disk: commits cost nothing here' : ''}; ` +
      `Node ${machine.node}; ${machine.processors} × ${machine.model}`,
    ok
      ? 'Nothing lost, nothing twice, all in order.'
      : 'FAILED: messages went wrong, or a scenario could not be finished.'
  ].join('\n')
}

/** What a scenario found besides its main value. */
function extras(row: Row): string[] {
  const usual = /^(server|other)(CpuMicrosPerMessage|DatabaseMicrosPerMessage|LoadBusy|OthersBusy)$/
  const facts = Object.entries(row.facts).filter(([name]) => !usual.test(name))
  return facts.length === 0
    ? []
    : [
        `  ${row.scenario} ${row.protocol}, ${row.title}: ${facts.map(([name, value]) => `${name} ${formatted(value)}`).join(', ')}`
      ]
}

function cpu({ facts }: Row): string {
  const { serverCpuMicrosPerMessage: server, serverDatabaseMicrosPerMessage: database } = facts
  if (server === undefined) return ''
  return `${formatted(server)}${database === undefined ? '' : ` + ${formatted(database)}`}`
}

const spread = ({ median, min, max }: Summary) => `${formatted(median)} (${formatted(min)}–${formatted(max)})`
const percent = (share: number | undefined) => (share === undefined ? '' : `${Math.round(share * 100)} %`)
const formatted = (value: number) =>
  Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)))

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}
