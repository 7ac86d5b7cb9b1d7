// npm run crowd: very many registered peers in one network, over several relays; how late their event loops are meanwhile.
import { constants, setPriority } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildServer, makeWorkplace } from '../bench/build.ts'
import { Child, stopAllChildren } from '../bench/child.ts'
import { startCluster } from '../bench/cluster.ts'
import type { Contender } from '../bench/contender.ts'
import { startPostgres } from '../bench/database.ts'
import type { JoinReport } from '../bench/load/joined.ts'
import { startNats } from '../bench/nats.ts'
import type { ProtocolName } from '../bench/protocols/protocol.ts'

const HELP = `npm run crowd -- [--peers N] [--relays N] [--bus nats|postgres] [--protocol signaling|l2ps]

Peers (default: 10000) register in one network over relays (default: 2) in processes of their own, and stay. Then some leave
and come back. Prints for each stretch the worst event loop lag of a relay, the 99th percentile over 10 s. A relay takes as
many peers as it may open files, less some hundred: ulimit -n says how many. 100,000 peers take some twenty minutes on two cores.
The processes of peers run at a low priority, as they would be other machines; beside the relays' lag stands that of a process
that does nothing: where it is late too, the machine has too few processors for all of them.
`
const RESTLESS = 1_000
const QUIET_MS = 25_000
const JOIN_MS = 3_600_000
/** Peers that register in one step, so that progress can be told. */
const STEP = 1_000
/** Peers of one address: a relay gives no address more than half of its sockets. */
const PEERS_OF_ADDRESS = 9_000
const ADDRESS_OF_RESTLESS = 99
const MIB = 1_048_576

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '10000' },
    relays: { type: 'string', default: '2' },
    bus: { type: 'string', default: 'postgres' },
    protocol: { type: 'string', default: 'signaling' },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

const undo: (() => Promise<unknown>)[] = []

/** A relay and the process that holds its peers. */
interface Seat {
  readonly relay: Contender
  readonly crowd: Child
  /** Its peers connect from addresses of this machine that end so. */
  readonly number: number
}

if (values.help) process.stdout.write(HELP)
else {
  try {
    await main(Number(values.peers), Number(values.relays), values.protocol as ProtocolName)
  } finally {
    for (const step of undo.reverse()) await step().catch(() => {})
    await stopAllChildren()
  }
}

async function main(peers: number, relays: number, protocol: ProtocolName): Promise<void> {
  const seats = await takeSeats(relays)
  const each = Math.ceil(peers / relays)
  print('stretch', 'peers', 'seconds', 'worst lag p99 ms, by relay', 'an idle process', 'memory MiB, by relay')
  await stretch(seats, 'registering', async () => {
    for (let at = 0; at < each; at += STEP) {
      const count = Math.min(STEP, each - at)
      await Promise.all(
        seats.map((seat) => join(seat, protocol, Math.floor(at / PEERS_OF_ADDRESS), `crowd-${at}`, count))
      )
      process.stderr.write(`${(at + count) * relays} of ${each * relays} registered\n`)
    }
    return each * relays
  })
  await stretch(seats, 'quiet', async () => {
    await delay(QUIET_MS)
    return each * relays
  })
  await stretch(seats, `${RESTLESS} leave and come back, at each relay`, async () => {
    for (const seat of seats) {
      await join(seat, protocol, ADDRESS_OF_RESTLESS, 'restless', RESTLESS)
      await seat.crowd.call('leave', { prefix: `${seat.number}-restless` }, JOIN_MS)
    }
    return each * relays
  })
}

async function takeSeats(count: number): Promise<Seat[]> {
  const workplace = await makeWorkplace()
  undo.push(() => workplace.remove())
  const build = await buildServer(workplace)
  const postgres = await startPostgres(undefined)
  undo.push(() => postgres.stop())
  const nats = values.bus === 'nats' ? await startNats(undefined) : undefined
  if (nats !== undefined) undo.push(() => nats.stop())
  const settings = { main: build, home: workplace.directory, nodeOptions: [], postgres }
  const cluster = await startCluster(count, nats, settings)
  undo.push(() => cluster.stop())
  return cluster.relays.map((relay, index) => {
    const crowd = Child.module('peers', './load-worker.ts')
    setPriority(crowd.pid, constants.priority.PRIORITY_BELOW_NORMAL)
    return { relay, crowd, number: index + 2 }
  })
}

function join(
  { relay, crowd, number }: Seat,
  protocol: ProtocolName,
  address: number,
  name: string,
  count: number
): Promise<JoinReport> {
  const from = `127.0.${address}.${number}`
  const whom = { prefix: `${number}-${name}`, count, algorithm: 'ed25519', concurrency: 16, from }
  return crowd.call<JoinReport>('join', { url: relay.url(protocol), protocol, ...whom }, JOIN_MS)
}

/** Does something, while the relays are asked again and again how late their event loops are. */
async function stretch(seats: readonly Seat[], title: string, work: () => Promise<number>): Promise<void> {
  const worst = seats.map(() => 0)
  let idle = 0
  const own = monitorEventLoopDelay({ resolution: 10 })
  own.enable()
  const look = async () => {
    idle = Math.max(idle, own.percentile(99) / 1e6 - 10) // it counts the pause between two looks, too
    own.reset()
    for (const [index, { relay }] of seats.entries()) worst[index] = Math.max(worst[index]!, await lagMs(relay))
  }
  const began = performance.now()
  const looking = setInterval(() => void look().catch(() => {}), 5_000)
  const peers = await work()
  await delay(10_000) // the last of it is in the figures of the last 10 s
  await look()
  clearInterval(looking)
  const seconds = Math.round((performance.now() - began) / 1_000)
  const memory = await Promise.all(seats.map(async ({ relay }) => Math.round((await relay.memory()).rss / MIB)))
  print(title, peers, seconds, worst.map((ms) => ms.toFixed(1)).join(' '), idle.toFixed(1), memory.join(' '))
}

async function lagMs(relay: Contender): Promise<number> {
  const metrics = new URL('/metrics', relay.probeUrl)
  const text = await (await fetch(metrics)).text()
  const value = /^demos_relay_event_loop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]
  if (value === undefined) throw new Error(`${metrics} has no lag`)
  return Number(value) * 1_000
}

function print(...columns: readonly (string | number)[]): void {
  process.stdout.write(`| ${columns.join(' | ')} |\n`)
}
