import { type Bench, CONTENDERS, type Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { JoinReport } from '../load/joined.ts'
import { probedWhile } from '../probe.ts'
import type { Algorithm, Protocol } from '../protocols/protocol.ts'
import { compared, type Run, type Scenario } from './scenario.ts'

/** All peers connect and register at once, as after a restart; then all leave. */
export const storm: Scenario = {
  protocols: ['signaling', 'l2ps'],
  once: 'signaling',
  run: async (bench, protocol) => {
    const rows: Row[] = []
    const peers = bench.options.quick ? 100 : 1_000
    const algorithms: Algorithm[] = protocol.name === 'signaling' ? ['ed25519', 'ml-dsa'] : ['ed25519']
    for (const algorithm of algorithms) {
      const runs: Record<(typeof CONTENDERS)[number], Run[]> = { server: [], bare: [] }
      for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
        for (const name of CONTENDERS) {
          const run = await stormRun(bench, await bench.shared(name), protocol, algorithm, peers)
          bench.say(`storm, ${algorithm}, ${name}: ${Math.round(run.value)} registrations/s`)
          runs[name].push(run)
        }
      }
      rows.push(
        compared({
          head: {
            ...{ scenario: 'storm', protocol: protocol.name, title: `${peers} peers, ${algorithm}` },
            ...{ unit: 'registrations/s', better: 'more' }
          },
          server: runs.server,
          other: { what: bench.otherName, runs: runs.bare }
        })
      )
    }
    return rows
  }
}

export async function stormRun(
  bench: Bench,
  contender: Contender,
  protocol: Protocol,
  algorithm: Algorithm,
  count: number
): Promise<Run> {
  const target = bench.target(contender, protocol)
  const request = { ...target, count, algorithm }
  const { result, answerMs } = await probedWhile(contender.probeUrl, () =>
    bench.measure<JoinReport>(contender, bench.worker, 'join', request, 90_000)
  )
  const present = await bench.worker.call<number>('present', target, 5_000)
  if (present !== count) throw new Error(`only ${present} of ${count} peers are still connected`)
  const before = contender.cpuMs()
  await bench.worker.call('leave', target, 30_000)
  await contender.settle()
  const { seconds, latencyMs } = result.report
  return {
    value: count / seconds,
    messages: count,
    cost: result.cost,
    facts: {
      RegisteredP50Ms: latencyMs.p50,
      RegisteredP99Ms: latencyMs.p99,
      HttpAnswerP99Ms: answerMs.p99,
      CpuMsOfLeaving: (contender.cpuMs() ?? 0) - (before ?? 0)
    }
  }
}
