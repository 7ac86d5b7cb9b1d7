import type { Bench, Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { DrainReport, StoreReport } from '../load/mailboxes.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { storeStraight } from '../straight.ts'
import { relayRun, WINDOW } from './relay.ts'
import { compared, NO_COST, type Run, type Scenario } from './scenario.ts'

const PAIRS = 50

/**
 * Messages for peers that are away: stored and confirmed, beside the same rows straight to Postgres; then received when
 * they come, beside what the bare relay passes on. What is no bare relay does both.
 */
export const offline: Scenario = {
  protocols: ['signaling', 'l2ps'],
  run: async (bench, protocol) => {
    const each = bench.options.quick ? 40 : 400
    const ours: { store: Run[]; drain: Run[] } = { store: [], drain: [] }
    const others: { store: Run[]; drain: Run[] } = { store: [], drain: [] }
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      const { store, drain } = await offlineRun(bench, await bench.shared('server'), protocol, each)
      bench.say(`offline, server: stored ${Math.round(store.value)}/s, drained ${Math.round(drain.value)}/s`)
      const straight = await straightRun(bench, protocol, each)
      ours.store.push({ ...store, facts: { RowsStraightPerSecond: straight.store.value } })
      ours.drain.push({ ...drain, facts: { RowsStraightPerSecond: straight.drain.value } })
      const other = await bench.shared('bare')
      const theirs = bench.otherStores
        ? await offlineRun(bench, other, protocol, each)
        : { store: straight.store, drain: await relayRun(bench, other, protocol, { pairs: PAIRS }) }
      bench.say(
        `offline, straight: stored ${Math.round(straight.store.value)}/s, drained ${Math.round(straight.drain.value)}/s; ` +
          `${bench.otherName}: ${Math.round(theirs.store.value)}/s, ${Math.round(theirs.drain.value)}/s`
      )
      others.store.push(theirs.store)
      others.drain.push(theirs.drain)
    }
    const row = (scenario: string, what: 'store' | 'drain', beside: string): Row =>
      compared({
        head: { scenario, protocol: protocol.name, title: `${PAIRS} × ${each}`, unit: 'messages/s', better: 'more' },
        server: ours[what],
        other: { what: beside, runs: others[what] }
      })
    const stored = bench.otherStores ? bench.otherName : 'rows straight to Postgres'
    return [row('offline-store', 'store', stored), row('offline-drain', 'drain', bench.otherName)]
  }
}

export async function offlineRun(bench: Bench, server: Contender, protocol: Protocol, each: number) {
  const { bodyBytes } = bench.options
  const target = bench.target(server, protocol)
  const request = { ...target, pairs: PAIRS, bodyBytes, each, window: WINDOW }
  const stored = await bench.measure<StoreReport>(server, bench.worker, 'store', request, 90_000)
  await server.settle()
  const drained = await bench.measure<DrainReport>(server, bench.worker, 'drain', target, 90_000)
  const leftBehind = await server.settle()
  return {
    store: {
      value: stored.report.messages / stored.report.seconds,
      messages: stored.report.messages,
      cost: stored.cost
    },
    drain: {
      value: drained.report.messages / drained.report.seconds,
      messages: drained.report.messages,
      cost: drained.cost,
      verification: { ...drained.report.verification, leftBehind }
    }
  }
}

async function straightRun({ postgres, options }: Bench, { name }: Protocol, each: number) {
  const messages = PAIRS * each
  const { storeSeconds, drainSeconds } = await storeStraight(postgres, name, PAIRS, each, options.bodyBytes)
  const run = (seconds: number): Run => ({ value: messages / seconds, messages, cost: NO_COST })
  return { store: run(storeSeconds), drain: run(drainSeconds) }
}
