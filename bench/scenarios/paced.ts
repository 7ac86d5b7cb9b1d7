import { type Bench, CONTENDERS, type Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { PacedReport } from '../load/paced.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { compared, type Run, runTimes, type Scenario } from './scenario.ts'

export const PAIRS = 50
/** Messages a second over all pairs. */
export const RATE = 2_000

/** A steady rate well below the limit: how long a message takes. */
export const paced: Scenario = {
  protocols: ['signaling', 'l2ps'],
  run: async (bench, protocol) => {
    const p50: Record<(typeof CONTENDERS)[number], Run[]> = { server: [], bare: [] }
    const p99: Record<(typeof CONTENDERS)[number], Run[]> = { server: [], bare: [] }
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      for (const name of CONTENDERS) {
        const { report, run } = await pacedRun(bench, await bench.shared(name), protocol)
        p50[name].push({ ...run, value: report.latencyMs.p50 })
        p99[name].push({ ...run, facts: {}, value: report.latencyMs.p99 })
        bench.say(
          `paced, ${name}: p50 ${report.latencyMs.p50.toFixed(2)} ms, p99 ${report.latencyMs.p99.toFixed(2)} ms`
        )
      }
    }
    const row = (title: string, runs: typeof p50): Row =>
      compared({
        head: { scenario: 'paced', protocol: protocol.name, title, unit: 'ms', better: 'less' },
        server: runs.server,
        other: { what: bench.otherName, runs: runs.bare }
      })
    return [row(`${RATE}/s, p50`, p50), row(`${RATE}/s, p99`, p99)]
  }
}

async function pacedRun(bench: Bench, contender: Contender, protocol: Protocol) {
  const { bodyBytes } = bench.options
  const request = { ...bench.target(contender, protocol), pairs: PAIRS, bodyBytes, rate: RATE, ...runTimes(bench) }
  const { report, cost } = await bench.measure<PacedReport>(contender, bench.worker, 'paced', request, 60_000)
  const leftBehind = await contender.settle()
  const run = {
    messages: report.messages,
    cost,
    verification: { ...report.verification, leftBehind },
    facts: { LateSendsP99Ms: report.latenessMs.p99, SlowestMs: report.latencyMs.max }
  }
  return { report, run }
}
