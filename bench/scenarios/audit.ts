import { type Row, recorded } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { relayRun } from './relay.ts'
import { compared, type Run, type Scenario } from './scenario.ts'

const PAIRS = 50

/** The relay with its audit trail, beside the same build without one; then how fast what waited gets its place. */
export const audit: Scenario = {
  protocols: ['signaling', 'l2ps'],
  run: async (bench, protocol): Promise<Row[]> => {
    const runs: Record<'server' | 'without audit', Run[]> = { server: [], 'without audit': [] }
    for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
      for (const name of ['server', 'without audit'] as const) {
        const contender = await bench.shared(name)
        const run = await relayRun(bench, contender, protocol, { pairs: PAIRS })
        bench.say(`audit, ${name}: ${Math.round(run.value)} messages/s`)
        runs[name].push({ ...run, ...(name === 'server' ? { facts: await catchUp(contender) } : {}) })
      }
    }
    return [
      compared({
        head: {
          ...{ scenario: 'audit', protocol: protocol.name, title: `relay, ${PAIRS} pairs` },
          ...{ unit: 'messages/s', better: 'more' }
        },
        server: runs.server,
        other: { what: 'without audit', runs: runs['without audit'] }
      })
    ]
  }
}

/** What waited when the load ended, and the records integrated a second from then on. */
async function catchUp(contender: Contender): Promise<Record<string, number>> {
  const began = performance.now()
  const waiting = await contender.unrecorded()
  await recorded(contender)
  const seconds = (performance.now() - began) / 1_000
  return { RecordsWaiting: waiting, ...(waiting > 1_000 ? { RecordsPerSecond: waiting / seconds } : {}) }
}
