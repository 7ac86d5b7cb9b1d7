import { type Bench, CONTENDERS, type Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { LoopReport } from '../load/closed-loop.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { compared, type Run, runTimes, type Scenario } from './scenario.ts'

/** Messages of a pair that may be on their way: enough to fill group commits, few enough for no limit to be met. */
export const WINDOW = 32

/** One pair, one message at a time; then pairs of connected peers, each sending as fast as its messages arrive. */
export const relay: Scenario = {
  protocols: ['signaling', 'l2ps'],
  run: async (bench, protocol) => {
    const rows: Row[] = []
    const shapes = [{ pairs: 1, window: 1 }, ...bench.options.pairs.map((pairs) => ({ pairs, window: WINDOW }))]
    for (const { pairs, window } of shapes) {
      const title = window === 1 ? 'one at a time' : `${pairs} pair${pairs > 1 ? 's' : ''}`
      const runs: Record<(typeof CONTENDERS)[number], Run[]> = { server: [], bare: [] }
      for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
        for (const name of CONTENDERS) {
          const run = await relayRun(bench, await bench.shared(name), protocol, { pairs, window })
          bench.say(`relay, ${title}, ${name}: ${Math.round(run.value)} messages/s`)
          runs[name].push(run)
        }
      }
      rows.push(
        compared({
          head: {
            ...{ scenario: 'relay', protocol: protocol.name, title, unit: 'messages/s', better: 'more' }
          },
          server: runs.server,
          other: { what: bench.otherName, runs: runs.bare }
        })
      )
    }
    return rows
  }
}

/** One run against one contender; the mailboxes must be empty after it. */
export async function relayRun(
  bench: Bench,
  contender: Contender,
  protocol: Protocol,
  { pairs, window = WINDOW }: { readonly pairs: number; readonly window?: number }
): Promise<Run> {
  const { bodyBytes } = bench.options
  const request = { ...bench.target(contender, protocol), pairs, bodyBytes, window, ...runTimes(bench) }
  const { report, cost } = await bench.measure<LoopReport>(contender, bench.worker, 'relay', request, 60_000)
  const leftBehind = await contender.settle()
  return {
    value: report.messages / report.seconds,
    messages: report.messages,
    cost,
    verification: { ...report.verification, leftBehind }
  }
}
