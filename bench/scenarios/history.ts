import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { HistoryReport } from '../load/pages.ts'
import { nothingYet } from '../load/verification.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { historyStraight } from '../straight.ts'
import { compared, NO_COST, type Run, type Scenario } from './scenario.ts'

const LIMIT = 50

/** A conversation read back page by page, each with a signed request. */
export const history: Scenario = {
  protocols: ['l2ps'],
  run: async (bench, protocol) => {
    const messages = bench.options.quick ? 200 : 2_000
    const ours: Run[] = []
    const straight: Run[] = []
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      ours.push(await historyRun(bench, await bench.shared('server'), protocol, messages))
      bench.say(`history, server: ${Math.round(ours.at(-1)!.value)} messages/s`)
      const seconds = await historyStraight(bench.postgres, messages, LIMIT, bench.options.bodyBytes)
      straight.push({ value: messages / seconds, messages, cost: NO_COST })
      bench.say(`history, straight: ${Math.round(messages / seconds)} messages/s`)
    }
    const head = { scenario: 'history', protocol: protocol.name, title: `${messages}, pages of ${LIMIT}` }
    return [
      compared({
        head: { ...head, unit: 'messages/s', better: 'more' },
        server: ours,
        other: { what: 'rows straight from Postgres', runs: straight }
      })
    ]
  }
}

export async function historyRun(bench: Bench, server: Contender, protocol: Protocol, messages: number): Promise<Run> {
  const { bodyBytes, quick } = bench.options
  const request = { ...bench.target(server, protocol), pairs: 1, bodyBytes, each: messages, limit: LIMIT }
  const rounds = quick ? 1 : 3
  const asked = { ...request, rounds }
  const { report, cost } = await bench.measure<HistoryReport>(server, bench.worker, 'history', asked, 90_000)
  const sent = messages * rounds
  return {
    value: report.messages / report.seconds,
    messages: report.messages,
    cost,
    verification: { ...nothingYet(), sent, received: report.messages, altered: report.faults }
  }
}
