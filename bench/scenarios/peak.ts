import type { Bench, CONTENDERS, Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { nothingYet, type Verification } from '../load/verification.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { compared, NO_COST, type Run } from './scenario.ts'

const MIB = 2 ** 20

/** What was found while something went on. */
export interface Peak {
  /** Bytes; undefined where it is not known. */
  readonly peak: number | undefined
  readonly verification?: Verification
  readonly facts: Readonly<Record<string, number>>
}

/** Does something to a contender that was just started, and stops that. */
export async function onFresh(
  bench: Bench,
  name: (typeof CONTENDERS)[number],
  work: (contender: Contender) => Promise<Peak>
): Promise<Run> {
  const contender = await bench.fresh(name)
  try {
    const { peak = Number.NaN, verification, facts } = await work(contender)
    bench.say(`${name}: ${(peak / MIB).toFixed(0)} MiB at most, ${JSON.stringify(facts)}`)
    return { value: peak / MIB, messages: 0, cost: NO_COST, verification: verification ?? nothingYet(), facts }
  } finally {
    await bench.retire(contender)
  }
}

export function peakRow(
  scenario: string,
  protocol: Protocol,
  title: string,
  server: readonly Run[],
  other?: { readonly what: string; readonly runs: readonly Run[] }
): Row {
  const head = { scenario, protocol: protocol.name, title, unit: 'MiB at most', better: 'less' } as const
  return compared({ head, server, ...(other === undefined ? {} : { other }) })
}
