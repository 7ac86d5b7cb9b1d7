import type { Bench, Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { PacedReport } from '../load/paced.ts'
import { nothingYet } from '../load/verification.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { PAIRS, RATE } from './paced.ts'
import { compared, type Run, runTimes, type Scenario } from './scenario.ts'

/** Sent to each of them: more than its window holds (1 MiB, 1,024 messages). */
const BYTES_EACH = 1.25 * 2 ** 20

/** The same pace beside recipients that have stopped to read, with more for each than its window holds. */
export const stalled: Scenario = {
  protocols: ['signaling', 'l2ps'],
  run: async (bench, protocol): Promise<Row[]> => {
    const readers = bench.options.quick ? 5 : 20 // they are closed after 10 s, which must be time enough
    const alone: Run[] = []
    const beside: Run[] = []
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      const contender = await bench.fresh('server')
      alone.push(await pace(bench, contender, protocol))
      const before = await contender.memory()
      const crowd = bench.newWorker()
      try {
        const { bodyBytes } = bench.options
        const each = Math.ceil(BYTES_EACH / bodyBytes)
        await crowd.call('stall', { ...bench.target(contender, protocol), pairs: readers, bodyBytes, each }, 120_000)
        const run = await pace(bench, contender, protocol)
        const { rss } = await contender.memory()
        beside.push({ ...run, facts: { ...run.facts, MemoryKbEachReader: (rss - before.rss) / readers / 1_000 } })
      } finally {
        await crowd.stop()
        await bench.retire(contender)
      }
      const [one, other] = [alone.at(-1)!, beside.at(-1)!].map(({ value }) => value.toFixed(2))
      bench.say(`stalled: p99 ${other} ms, before that ${one} ms`)
    }
    const head = { scenario: 'stalled', protocol: protocol.name, title: `p99 beside ${readers} stopped readers` }
    return [
      compared({
        head: { ...head, unit: 'ms', better: 'less' },
        server: beside,
        other: { what: 'nobody stopped', runs: alone }
      })
    ]
  }
}

async function pace(bench: Bench, contender: Contender, protocol: Protocol): Promise<Run> {
  const { bodyBytes } = bench.options
  const request = { ...bench.target(contender, protocol), pairs: PAIRS, bodyBytes, rate: RATE, ...runTimes(bench) }
  const { report, cost } = await bench.measure<PacedReport>(contender, bench.worker, 'paced', request, 60_000)
  return {
    value: report.latencyMs.p99,
    messages: report.messages,
    cost,
    verification: { ...nothingYet(), ...report.verification }, // what is left behind is the stopped readers'
    facts: { P50Ms: report.latencyMs.p50 }
  }
}
