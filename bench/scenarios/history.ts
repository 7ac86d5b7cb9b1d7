import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { HistoryReport } from '../load/pages.ts'
import { nothingYet } from '../load/verification.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { historyStraight } from '../straight.ts'
import { compared, NO_COST, type Run, type Scenario } from './scenario.ts'

const LIMIT = 50
/** Conversations that are read at the same time. */
const READERS = 4
/** How often each is read. */
const ROUNDS = 20

/** Conversations read back page by page, each page with a signed request; beside it the same rows by the same query. */
export const history: Scenario = {
  protocols: ['l2ps'],
  run: async (bench, protocol) => {
    const messages = bench.options.quick ? 200 : 1_000
    const rounds = bench.options.quick ? 1 : ROUNDS
    const ours: Run[] = []
    const straight: Run[] = []
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      const server = await bench.shared('server')
      ours.push(await historyRun(bench, server, protocol, messages, rounds))
      bench.say(`history, server: ${Math.round(ours.at(-1)!.value)} messages/s`)
      const seconds = await historyStraight(server.databaseUrl!, { readers: READERS, rounds, messages, limit: LIMIT })
      const all = READERS * rounds * messages
      straight.push({ value: all / seconds, messages: all, cost: NO_COST })
      bench.say(`history, straight: ${Math.round(all / seconds)} messages/s`)
    }
    const head = { scenario: 'history', protocol: protocol.name, title: `${READERS} × ${messages}, pages of ${LIMIT}` }
    return [
      compared({
        head: { ...head, unit: 'messages/s', better: 'more' },
        server: ours,
        other: { what: 'the same query straight to Postgres', runs: straight }
      })
    ]
  }
}

export async function historyRun(
  bench: Bench,
  server: Contender,
  protocol: Protocol,
  messages: number,
  rounds = ROUNDS
): Promise<Run> {
  const { bodyBytes } = bench.options
  const request = { ...bench.target(server, protocol), pairs: READERS, bodyBytes, each: messages, limit: LIMIT }
  const asked = { ...request, rounds }
  const { report, cost } = await bench.measure<HistoryReport>(server, bench.worker, 'history', asked, 90_000)
  const sent = READERS * messages * rounds
  return {
    value: report.messages / report.seconds,
    messages: report.messages,
    cost,
    verification: { ...nothingYet(), sent, received: report.messages, altered: report.faults }
  }
}
