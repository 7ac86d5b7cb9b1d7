import type { Bench, Cost, Row } from '../bench.ts'
import { total, type Verification } from '../load/verification.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { type Summary, summary } from '../statistics.ts'

export interface Scenario {
  /** Protocols it makes sense for. */
  readonly protocols: readonly Protocol['name'][]
  /** With which of them it is run where everything is: both say nearly the same. */
  readonly once?: Protocol['name']
  run(bench: Bench, protocol: Protocol): Promise<Row[]>
}

/** How long a run is: what it takes until the code is compiled, and what is measured. */
export const runTimes = ({ options }: Bench) =>
  options.quick ? { warmUpMs: 500, measureMs: 1_000 } : { warmUpMs: 750, measureMs: 2_000 }

/** What one run gave: the value it measures, and what it cost. */
export interface Run {
  readonly value: number
  readonly messages: number
  readonly cost: Cost
  readonly verification?: Verification
  readonly facts?: Readonly<Record<string, number>>
}

interface Comparison {
  readonly head: Pick<Row, 'scenario' | 'protocol' | 'title' | 'unit' | 'better'>
  readonly server: readonly Run[]
  readonly other?: { readonly what: string; readonly runs: readonly Run[] }
}

/** Of runs without this server. */
export const NO_COST: Cost = { serverMs: undefined, databaseMs: undefined, loadBusy: undefined, othersBusy: undefined }

/** A line of the report from repeated runs. */
export function compared({ head, server, other }: Comparison): Row {
  const ours = summary(server.map((run) => run.value))
  const theirs = other === undefined ? undefined : summary(other.runs.map((run) => run.value))
  const checked = [...server, ...(other?.runs ?? [])].flatMap((run) => run.verification ?? [])
  return {
    ...head,
    server: ours,
    ...(theirs === undefined ? {} : { other: { ...theirs, what: other!.what }, ratio: ratioOf(server, other!.runs) }),
    facts: { ...costs('server', server), ...(other === undefined ? {} : costs('other', other.runs)) },
    ...(checked.length === 0 ? {} : { verification: total(checked) })
  }
}

/** Runs taken right after one another have met the same noise: the median of their ratios. */
function ratioOf(ours: readonly Run[], theirs: readonly Run[]): number {
  return summary(ours.map((run, index) => run.value / theirs[index]!.value)).median
}

/** Medians of what a message cost in each run, and of the other values of the runs. */
function costs(whose: 'server' | 'other', runs: readonly Run[]): Record<string, number> {
  const perMessage = (pick: (cost: Cost) => number | undefined) =>
    runs.flatMap(({ cost, messages }) => {
      const ms = pick(cost)
      return ms === undefined || messages === 0 ? [] : [(ms * 1_000) / messages]
    })
  const facts: Record<string, number[]> = {
    CpuMicrosPerMessage: perMessage((cost) => cost.serverMs),
    DatabaseMicrosPerMessage: perMessage((cost) => cost.databaseMs),
    LoadBusy: runs.flatMap((run) => run.cost.loadBusy ?? []),
    OthersBusy: runs.flatMap((run) => run.cost.othersBusy ?? [])
  }
  for (const { facts: own = {} } of runs) {
    for (const [name, value] of Object.entries(own)) {
      facts[name] ??= []
      facts[name].push(value)
    }
  }
  const known = Object.entries(facts).filter(([, values]) => values.length > 0)
  return Object.fromEntries(known.map(([name, values]) => [whose + name, round(summary(values))]))
}

const round = ({ median }: Summary) => Math.round(median * 1_000) / 1_000
