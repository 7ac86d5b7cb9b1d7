import { loadavg } from 'node:os'
import type { Bench, Row } from '../bench.ts'
import type { ClusterContender } from '../cluster.ts'
import type { Contender } from '../contender.ts'
import type { LoopReport } from '../load/closed-loop.ts'
import type { PublishReport } from '../load/jet-stream.ts'
import type { PacedReport } from '../load/paced.ts'
import type { BusName } from '../options.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { summary } from '../statistics.ts'
import { WINDOW } from './relay.ts'
import { compared, NO_COST, type Run, runTimes, type Scenario } from './scenario.ts'

const PAIRS = 50
/** Messages a second over all pairs where latency is measured. */
const RATE = 500

/** Where the two ends of a pair are: at one relay, or at two. */
type Way = 'staying' | 'crossing'

/** In turn, so that neither of them is always the first. */
const ways = (repeat: number): readonly Way[] => (repeat % 2 === 0 ? ['staying', 'crossing'] : ['crossing', 'staying'])

/**
 * Relays over one database: messages between peers of two relays (crossing) beside messages between peers of one
 * (staying), in the same cluster; two-way talk over two relays beside one relay that is alone.
 */
export const cluster: Scenario = {
  protocols: ['signaling', 'l2ps'],
  once: 'l2ps',
  run: async (bench, protocol): Promise<Row[]> => {
    const rows: Row[] = []
    const buses = await busesOf(bench)
    const many = bench.options.relays.filter((count) => count > 1)
    if (bench.options.relays.includes(1)) rows.push(...(await oneRelay(bench, protocol)))
    for (const bus of buses) {
      for (const count of many) {
        const relays = await bench.cluster(count, bus)
        try {
          const where = { bench, relays, protocol, title: `${count} relays, ${bus}` }
          await loopRun(bench, relays, protocol, { seats: seatsOf(relays, protocol, 'crossing') }) // compiles what runs often
          rows.push(...(await throughput(where)), ...(await latency(where)))
          if (protocol.name === 'l2ps' && count === many[0]) rows.push(await twoWay(where))
        } finally {
          await bench.retire(relays)
        }
      }
    }
    return rows
  }
}

interface Where {
  readonly bench: Bench
  readonly relays: ClusterContender
  readonly protocol: Protocol
  readonly title: string
}

/** Those that were asked for, else those that are installed. */
async function busesOf(bench: Bench): Promise<readonly BusName[]> {
  const { buses } = bench.options
  const hasNats = (await bench.nats()) !== undefined
  if (hasNats || buses?.includes('nats') === false) return buses ?? ['postgres', 'nats']
  if (buses !== undefined) throw new Error('nats-server is not installed')
  bench.say('cluster: nats-server is not installed, the bus is Postgres alone')
  return ['postgres']
}

/** A relay that is alone, beside a JetStream that stores the same bodies, where NATS is installed. */
async function oneRelay(bench: Bench, protocol: Protocol): Promise<Row[]> {
  const server = await bench.shared('server')
  const nats = await bench.nats()
  await loopRun(bench, server, protocol) // as for the others
  const runs: Record<'alone' | 'p50' | 'p99' | 'jetStream', Run[]> = { alone: [], p50: [], p99: [], jetStream: [] }
  for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
    runs.alone.push(await loopRun(bench, server, protocol))
    if (nats !== undefined) runs.jetStream.push(await jetStreamRun(bench, nats.url, server, protocol))
    const { report, run } = await pacedRun(bench, server, protocol)
    runs.p50.push({ ...run, value: report.latencyMs.p50 })
    runs.p99.push({ ...run, value: report.latencyMs.p99 })
  }
  const what = nats && `NATS JetStream ${nats.version}, one, on disk, ${nats.syncsAlways ? 'sync always' : 'no sync'}`
  const row = (title: string, runs: Run[], unit: string, better: Row['better']) => ({
    head: { scenario: 'cluster', protocol: protocol.name, title: `1 relay, alone: ${title}`, unit, better },
    server: runs
  })
  return [
    compared({
      ...row(`${PAIRS} pairs`, runs.alone, 'messages/s', 'more'),
      ...(what === undefined ? {} : { other: { what, runs: runs.jetStream } })
    }),
    compared(row(`${RATE}/s, p50`, runs.p50, 'ms', 'less')),
    compared(row(`${RATE}/s, p99`, runs.p99, 'ms', 'less'))
  ]
}

/** As fast as messages arrive, and what a message costs each process. */
async function throughput({ bench, relays, protocol, title }: Where): Promise<Row[]> {
  const runs: Record<Way, Run[]> = { staying: [], crossing: [] }
  for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
    for (const way of ways(repeat)) {
      const run = await loopRun(bench, relays, protocol, { seats: seatsOf(relays, protocol, way) })
      bench.say(`cluster, ${title}, ${way}: ${Math.round(run.value)} messages/s, load average ${load()}`)
      runs[way].push(run)
    }
  }
  const row = (what: string, pick: (runs: Run[]) => Run[], unit: string, better: Row['better']) =>
    compared({
      head: { scenario: 'cluster', protocol: protocol.name, title: `${title}: ${what}`, unit, better },
      server: pick(runs.crossing),
      other: { what: 'staying', runs: pick(runs.staying) }
    })
  const rate = row('crossing', (runs) => runs.map((run) => ({ ...run, facts: {} })), 'messages/s', 'more')
  if (runs.staying[0]?.cost.databaseMs === undefined) return [rate] // no /proc here
  const { verification: _, ...cost } = row('processor time', (runs) => runs.map(costRun), 'µs/message', 'less')
  return [rate, cost]
}

/** What a message took of all processes, and of each. */
function costRun(run: Run): Run {
  const { cost, messages } = run
  const each = Object.entries(cost.processesMs ?? {}).map(([name, ms]) => [`${name}Micros`, (1_000 * ms) / messages])
  const total = (cost.serverMs ?? 0) + (cost.databaseMs ?? 0)
  return { ...run, value: (1_000 * total) / messages, facts: { ...run.facts, ...Object.fromEntries(each) } }
}

/** At a steady rate well below the limit: how much later a crossing message arrives. */
async function latency({ bench, relays, protocol, title }: Where): Promise<Row[]> {
  const p50: Record<Way, Run[]> = { staying: [], crossing: [] }
  const p99: Record<Way, Run[]> = { staying: [], crossing: [] }
  for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
    for (const way of ways(repeat)) {
      const seats = seatsOf(relays, protocol, way)
      const { report, run } = await pacedRun(bench, relays, protocol, seats)
      const { latencyMs } = report
      p50[way].push({ ...run, value: latencyMs.p50 })
      p99[way].push({ ...run, value: latencyMs.p99 })
      const found = `p50 ${latencyMs.p50.toFixed(2)} ms, p99 ${latencyMs.p99.toFixed(2)} ms`
      bench.say(`cluster, ${title}, ${way}: ${found}, load average ${load()}`)
    }
  }
  const row = (what: string, { staying, crossing }: Record<Way, Run[]>): Row => {
    const head = { scenario: 'cluster', protocol: protocol.name, title: `${title}: ${RATE}/s, ${what}`, unit: 'ms' }
    const later = summary(crossing.map((run, index) => run.value - staying[index]!.value)).median
    const found = compared({
      head: { ...head, better: 'less' },
      server: crossing,
      other: { what: 'staying', runs: staying }
    })
    return { ...found, facts: { ...found.facts, CrossingLaterMs: later } }
  }
  return [row('p50', p50), row('p99', p99)]
}

/** Both ends of each pair send: over two relays, beside one that is alone. */
async function twoWay({ bench, relays, protocol, title }: Where): Promise<Row> {
  const alone = await bench.shared('server')
  const runs: Record<'crossing' | 'alone', Run[]> = { crossing: [], alone: [] }
  for (let repeat = 0; repeat < bench.options.repeat; repeat++) {
    runs.alone.push(await loopRun(bench, alone, protocol, { twoWay: true }))
    const seats = seatsOf(relays, protocol, 'crossing')
    runs.crossing.push(await loopRun(bench, relays, protocol, { seats, twoWay: true }))
    for (const which of ['alone', 'crossing'] as const) {
      const { value, verification } = runs[which].at(-1)!
      const { refused, twice } = verification!
      bench.say(`cluster, ${title}, two-way, ${which}: ${Math.round(value)}/s, ${refused} refused, ${twice} twice`)
    }
  }
  return compared({
    head: {
      ...{ scenario: 'cluster', protocol: protocol.name, title: `${title}: two-way, crossing` },
      ...{ unit: 'messages/s', better: 'more' }
    },
    server: runs.crossing,
    other: { what: 'one relay, alone', runs: runs.alone }
  })
}

type Seats = readonly (readonly [string, string])[]

/** Pairs are spread over the relays evenly; crossing, the recipient is at the relay after the sender's. */
function seatsOf({ relays }: ClusterContender, { name }: Protocol, way: Way): Seats {
  const urls = relays.map((relay) => relay.url(name))
  return urls.map((url, index) => [url, way === 'staying' ? url : urls[(index + 1) % urls.length]!] as const)
}

/** One run as fast as messages arrive; the mailboxes must be empty after it. */
async function loopRun(
  bench: Bench,
  contender: Contender,
  protocol: Protocol,
  more: { seats?: Seats; twoWay?: boolean } = {}
): Promise<Run> {
  const { bodyBytes } = bench.options
  const request = { ...bench.target(contender, protocol), pairs: PAIRS, bodyBytes, window: WINDOW, ...runTimes(bench) }
  const asked = { ...request, ...more }
  const { report, cost } = await bench.measure<LoopReport>(contender, bench.worker, 'relay', asked, 60_000)
  const leftBehind = await contender.settle()
  return {
    value: report.messages / report.seconds,
    messages: report.messages,
    cost,
    verification: { ...report.verification, leftBehind },
    facts: { LoadAverage: loadavg()[0]! }
  }
}

async function pacedRun(bench: Bench, contender: Contender, protocol: Protocol, seats?: Seats) {
  const { bodyBytes } = bench.options
  const request = { ...bench.target(contender, protocol), pairs: PAIRS, bodyBytes, rate: RATE, ...runTimes(bench) }
  const asked = { ...request, seats }
  const { report, cost } = await bench.measure<PacedReport>(contender, bench.worker, 'paced', asked, 60_000)
  const leftBehind = await contender.settle()
  const { messages, verification } = report
  return { report, run: { messages, cost, verification: { ...verification, leftBehind } } }
}

async function jetStreamRun(bench: Bench, url: string, server: Contender, protocol: Protocol): Promise<Run> {
  const { bodyBytes } = bench.options
  const request = {
    ...bench.target(server, protocol),
    url,
    pairs: PAIRS,
    bodyBytes,
    window: WINDOW,
    ...runTimes(bench)
  }
  const { report } = await bench.measure<PublishReport>(server, bench.worker, 'publish', request, 60_000)
  const value = report.messages / report.seconds
  bench.say(`cluster, JetStream: ${Math.round(value)} messages/s, load average ${load()}`)
  return { value, messages: report.messages, cost: NO_COST }
}

const load = () => loadavg()[0]!.toFixed(1)
