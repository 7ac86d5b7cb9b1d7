import { type Bench, CONTENDERS, type Row } from '../bench.ts'
import type { Child } from '../child.ts'
import type { Contender } from '../contender.ts'
import type { JoinReport } from '../load/joined.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { onFresh, peakRow } from './peak.ts'
import type { Run, Scenario } from './scenario.ts'

/** Peers of one process, which may have only so many files open; each has an address of its own, as clients do. */
const PEERS_EACH = 9_000
/** Of one process on their way at once: the listen queue of a relay is finite. */
const CONCURRENCY = 250
const JOIN_MS = 240_000

export const crowd: Scenario = {
  protocols: ['signaling', 'l2ps'],
  once: 'signaling',
  run: async (bench, protocol) => [await joining(bench, protocol)]
}

/** All connect and register at once, as after a restart of the relay; how late its event loop is meanwhile. */
async function joining(bench: Bench, protocol: Protocol): Promise<Row> {
  const processes = bench.options.quick ? 1 : 2
  const each = bench.options.quick ? 200 : PEERS_EACH
  const runs: Run[] = []
  for (const name of CONTENDERS) {
    runs.push(
      await onFresh(bench, name, async (contender) => {
        const crowds = Array.from({ length: processes }, () => bench.newWorker())
        contender.peakRss()
        await contender.lagMs()
        try {
          const reports = await Promise.all(
            crowds.map((crowd, at) => join(bench, contender, protocol, crowd, at, each))
          )
          const facts = {
            LagP99Ms: await contender.lagMs(),
            Refused: reports.reduce((sum, { refused }) => sum + refused, 0),
            Failed: reports.reduce((sum, { failed }) => sum + failed, 0),
            Seconds: Math.max(...reports.map(({ seconds }) => seconds)),
            RegisteredP99Ms: Math.max(...reports.map(({ latencyMs }) => latencyMs.p99))
          }
          return { peak: contender.peakRss(), facts }
        } finally {
          await Promise.all(crowds.map((crowd) => crowd.stop()))
        }
      })
    )
  }
  return peakRow('crowd', protocol, `${processes * each} peers join at once`, runs.slice(0, 1), {
    what: bench.otherName,
    runs: runs.slice(1)
  })
}

function join(bench: Bench, contender: Contender, protocol: Protocol, crowd: Child, at: number, count: number) {
  const request = {
    ...bench.target(contender, protocol),
    count,
    algorithm: 'ed25519',
    concurrency: CONCURRENCY,
    comesBack: true
  }
  return crowd.call<JoinReport>('join', { ...request, own: at + 1 }, JOIN_MS)
}
