import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, CONTENDERS } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { compared, type Run, type Scenario } from './scenario.ts'

/** Peers that came first: what the first connection loads is not counted. */
const FIRST = 200
const QUIET_MS = 1_000

/** Memory of the server for a registered connection that says nothing, after a garbage collection. */
export const idle: Scenario = {
  protocols: ['signaling', 'l2ps'],
  once: 'signaling',
  run: async (bench, protocol) => {
    const peers = bench.options.quick ? 300 : 2_000
    const runs: Record<(typeof CONTENDERS)[number], Run[]> = { server: [], bare: [] }
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      for (const name of CONTENDERS) {
        const run = await idleRun(bench, name, protocol, peers)
        bench.say(`idle, ${name}: ${run.value.toFixed(1)} kB a connection`)
        runs[name].push(run)
      }
    }
    const head = {
      scenario: 'idle',
      protocol: protocol.name,
      title: `${peers} peers`,
      unit: 'kB of RSS',
      better: 'less'
    }
    return [
      compared({
        head: { ...head, better: 'less' },
        server: runs.server,
        other: { what: bench.otherName, runs: runs.bare }
      })
    ]
  }
}

async function idleRun(bench: Bench, name: Contender['name'], protocol: Protocol, count: number): Promise<Run> {
  const contender = await bench.fresh(name)
  const crowd = bench.newWorker()
  try {
    const join = (peers: number) => {
      const request = { ...bench.target(contender, protocol), count: peers, algorithm: 'ed25519' }
      return bench.measure(contender, crowd, 'join', request, 90_000)
    }
    await join(FIRST)
    const before = await memoryAtRest(contender)
    const { cost } = await join(count)
    const after = await memoryAtRest(contender)
    const each = (field: keyof NodeJS.MemoryUsage) => (after[field] - before[field]) / count / 1_000
    return {
      value: each('rss'),
      messages: count,
      cost,
      facts: { HeapKb: each('heapUsed'), ExternalKb: each('external') }
    }
  } finally {
    await crowd.stop()
    await bench.retire(contender)
  }
}

async function memoryAtRest(contender: Contender): Promise<NodeJS.MemoryUsage> {
  await contender.settle()
  await contender.memory()
  await delay(QUIET_MS)
  return contender.memory()
}
