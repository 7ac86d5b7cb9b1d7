import { type Bench, CONTENDERS, type Row } from '../bench.ts'
import type { Child } from '../child.ts'
import type { Contender } from '../contender.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { summary } from '../statistics.ts'
import { relayRun } from './relay.ts'
import { compared, type Run, type Scenario } from './scenario.ts'

const PAIRS = 20

/** The same relay among more and more peers that are connected and say nothing: the rate must not fall. */
export const population: Scenario = {
  protocols: ['signaling', 'l2ps'],
  once: 'signaling',
  run: async (bench, protocol) => {
    const levels = bench.options.quick ? [0, 100] : [0, 1_000, 5_000]
    const stages = await Promise.all(CONTENDERS.map((name) => stage(bench, name)))
    try {
      const rows: Row[] = []
      for (const level of levels) rows.push(await atLevel(bench, protocol, stages, level, rows[0]?.server.median))
      return rows
    } finally {
      for (const { contender, crowd } of stages) {
        await crowd.stop()
        await bench.retire(contender)
      }
    }
  }
}

/** A contender of its own, and the process that holds its idle peers. */
interface Stage {
  readonly contender: Contender
  readonly crowd: Child
  idle: number
}

async function stage(bench: Bench, name: (typeof CONTENDERS)[number]): Promise<Stage> {
  return { contender: await bench.fresh(name), crowd: bench.newWorker(), idle: 0 }
}

async function atLevel(
  bench: Bench,
  protocol: Protocol,
  stages: readonly Stage[],
  level: number,
  alone: number | undefined
): Promise<Row> {
  const runs: Record<(typeof CONTENDERS)[number], Run[]> = { server: [], bare: [] }
  for (const each of stages) await populate(bench, protocol, each, level)
  for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
    for (const { contender } of stages) {
      const run = await relayRun(bench, contender, protocol, { pairs: PAIRS })
      bench.say(`population ${level}, ${contender.name}: ${Math.round(run.value)} messages/s`)
      runs[contender.name === 'bare' ? 'bare' : 'server'].push(run)
    }
  }
  const row = compared({
    head: {
      ...{ scenario: 'population', protocol: protocol.name, title: `${PAIRS} pairs, ${level} idle` },
      ...{ unit: 'messages/s', better: 'more' }
    },
    server: runs.server,
    other: { what: bench.otherName, runs: runs.bare }
  })
  if (alone === undefined) return row
  const share = summary(runs.server.map((run) => run.value)).median / alone
  return { ...row, facts: { ...row.facts, serverComparedWithNobodyIdle: share } }
}

async function populate(bench: Bench, protocol: Protocol, each: Stage, level: number): Promise<void> {
  const count = level - each.idle
  if (count > 0) {
    const request = { ...bench.target(each.contender, protocol), count, algorithm: 'ed25519' }
    await each.crowd.call('join', request, 120_000)
    each.idle = level
  }
  await each.contender.settle()
}
