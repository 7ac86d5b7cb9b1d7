// npm run bars: two relays, crossing pairs, one fault after the other; how long messages take meanwhile, and what is lost.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openRelayStage, type RelayStage } from '../test/chaos/relay-stage.ts'
import type { BusName } from '../test/cluster/relays.ts'
import type { Scope } from '../test/helpers/at-end.ts'
import { openPeer, type Peer, quickIdentity } from '../test/helpers/peer.ts'

const HELP = `npm run bars -- [--bus nats|postgres] [--pairs N] [--claims N]

Two relays in processes of their own. Pairs whose ends are at different relays write every 20 ms while the bus, the
database or a relay breaks. Prints for each fault how long messages took from their sender to their recipient, and how
many were lost, doubled or out of order. Needs the embedded PostgreSQL, and nats-server for --bus nats.
`
const SEND_MS = 20
const FAULT_MS = 6_000
const DRAIN_MS = 20_000

const { values } = parseArgs({
  options: {
    bus: { type: 'string', default: 'nats' },
    pairs: { type: 'string', default: '20' },
    claims: { type: 'string', default: '1000' },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

const undo: (() => unknown)[] = []
const scope = { after: (step: () => unknown) => void undo.push(step) } as Scope

interface Pair {
  readonly alice: Peer
  readonly bob: Peer
  readonly sentAt: Map<number, number>
  readonly tookMs: Map<number, number>
  readonly order: number[]
  sent: number
}

if (values.help) process.stdout.write(HELP)
else await main(values.bus as BusName, Number(values.pairs), Number(values.claims))
for (const step of undo.reverse()) await step()
process.exit()

async function main(bus: BusName, count: number, claims: number): Promise<void> {
  const stage = await openRelayStage(scope, 2, bus)
  const pairs = await Promise.all(Array.from({ length: count }, (_, n) => openPair(stage, n)))
  const none = { lost: 0, repeated: 0, reordered: 0 }
  const lose = (lost: number) => {
    for (const { server } of stage.seats) server.setFaults({ ...none, lost })
  }
  print('fault', 'messages', 'p50 ms', 'p99 ms', 'max ms', 'lost', 'doubled', 'out of order')
  await measure(
    pairs,
    'none',
    async () => {},
    async () => {}
  )
  await measure(
    pairs,
    '30 % of hand-overs lost',
    async () => lose(0.3),
    async () => lose(0)
  )
  await measure(
    pairs,
    'all hand-overs lost',
    async () => lose(1),
    async () => lose(0)
  )
  if (stage.nats !== undefined) {
    const { nats } = stage
    await measure(
      pairs,
      'bus killed',
      () => nats.kill(),
      () => nats.start()
    )
    await measure(
      pairs,
      'bus frozen',
      async () => nats.freeze(),
      async () => nats.thaw()
    )
  }
  await claimAtOnce(stage, claims)
  await freeName(stage, 'database', (seat) => [seat.database])
  if (bus === 'nats') await freeName(stage, 'database and bus', (seat) => [seat.database, seat.bus])
  await killRelay(stage)
}

function print(...cells: (string | number)[]): void {
  process.stdout.write(
    `${cells.map((cell, at) => (at === 0 ? String(cell).padEnd(26) : String(cell).padStart(12))).join('')}\n`
  )
}

async function openPair(stage: RelayStage, number: number): Promise<Pair> {
  const [one, two] = stage.seats
  const alice = await openPeer(scope as never, one!.server.url!)
  const bob = await openPeer(scope as never, two!.server.url!)
  await alice.register(`alice-${number}`, await quickIdentity())
  await bob.register(`bob-${number}`, await quickIdentity())
  const pair: Pair = { alice, bob, sentAt: new Map(), tookMs: new Map(), order: [], sent: 0 }
  bob.ws.on('message', (data) => {
    const { type, payload } = JSON.parse(String(data))
    if (type !== 'message') return
    const id = Number(payload.message)
    pair.order.push(id)
    if (!pair.tookMs.has(id)) pair.tookMs.set(id, performance.now() - pair.sentAt.get(id)!)
  })
  return pair
}

/** Everybody writes while something is broken; then what is under way is waited for. */
async function measure(
  pairs: readonly Pair[],
  name: string,
  harm: () => Promise<unknown>,
  mend: () => Promise<unknown>
) {
  for (const pair of pairs) {
    pair.order.length = 0
    pair.sentAt.clear()
    pair.tookMs.clear()
  }
  const writing = setInterval(() => {
    for (const pair of pairs) {
      const id = ++pair.sent
      pair.sentAt.set(id, performance.now())
      pair.alice.send({ type: 'message', payload: { targetId: pair.bob.clientId, message: id } })
    }
  }, SEND_MS)
  await delay(500)
  await harm()
  await delay(FAULT_MS)
  await mend()
  await delay(1_500)
  clearInterval(writing)
  const end = performance.now() + DRAIN_MS
  while (pairs.some(({ sentAt, tookMs }) => tookMs.size < sentAt.size) && performance.now() < end) await delay(100)
  const took = pairs.flatMap(({ tookMs }) => [...tookMs.values()]).sort((a, b) => a - b)
  const at = (share: number) =>
    Math.round(took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN)
  const sum = (of: (pair: Pair) => number) => pairs.reduce((total, pair) => total + of(pair), 0)
  print(
    ...[name, sum(({ sentAt }) => sentAt.size), at(0.5), at(0.99), at(1)],
    sum(({ sentAt, tookMs }) => sentAt.size - tookMs.size),
    sum(({ order, tookMs }) => order.length - tookMs.size),
    sum(({ order }) => order.filter((id, place) => place > 0 && id < order[place - 1]!).length)
  )
}

/** One name, two relays, at the same time. */
async function claimAtOnce({ seats }: RelayStage, rounds: number): Promise<void> {
  let right = 0
  for (let round = 0; round < rounds; round++) {
    const identity = await quickIdentity()
    const peers = await Promise.all(seats.map(({ server }) => openPeer(scope as never, server.url!)))
    const claimed = await Promise.allSettled(peers.map((peer) => peer.register(`claimed-${round}`, identity)))
    if (claimed.filter(({ status }) => status === 'fulfilled').length === 1) right += 1
    for (const peer of peers) peer.terminate()
  }
  print('one id claimed at once', `${right} of ${rounds}`)
}

/** A relay is cut off: how long until its peer is let in at the other one, and what the old socket hears after. */
async function freeName(
  stage: RelayStage,
  what: string,
  wiresOf: (seat: RelayStage['seats'][number]) => ({ cut(): Promise<void>; heal(): Promise<void> } | undefined)[]
) {
  const [one, two] = stage.seats
  const identity = await quickIdentity()
  const name = `owner of ${what}`
  const old = await openPeer(scope as never, one!.server.url!)
  await old.register(name, identity)
  let heard = 0
  const wires = wiresOf(one!)
  for (const wire of wires) await wire?.cut()
  const began = performance.now()
  for (;;) {
    const peer = await openPeer(scope as never, two!.server.url!)
    if (
      await peer.register(name, identity).then(
        () => true,
        () => false
      )
    )
      break
    peer.terminate()
    await delay(100)
  }
  const freeMs = Math.round(performance.now() - began)
  old.ws.on('message', () => {
    heard += 1 // of whatever type
  })
  const sender = await openPeer(scope as never, two!.server.url!)
  await sender.register(`sender to ${what}`, await quickIdentity())
  for (let n = 1; n <= 20; n++) sender.send({ type: 'message', payload: { targetId: name, message: n } })
  await delay(2_000)
  for (const wire of wires) await wire?.heal()
  const closed = await Promise.race([old.closed.then(({ code }) => code), delay(20_000, 'not closed')])
  print(`cut from ${what}`, `free ${freeMs} ms`, `old hears ${heard}`, `then ${closed}`)
  await stage.healed()
}

/** kill -9 of a relay: how long until all its clients are back at the other one. */
async function killRelay(stage: RelayStage): Promise<void> {
  const [one, two] = stage.seats
  const peers = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      const peer = await openPeer(scope as never, one!.server.url!)
      const identity = await quickIdentity()
      await peer.register(`killed-${n}`, identity)
      return { peer, identity, name: `killed-${n}` }
    })
  )
  const began = performance.now()
  const url = two!.server.url!
  const back = peers.map(async ({ peer, identity, name }) => {
    await peer.closed
    for (let refused = 0; ; refused++) {
      const again = await openPeer(scope as never, url)
      const isIn = await again.register(name, identity).then(
        () => true,
        () => false
      )
      if (isIn) return { ms: performance.now() - began, refused }
      again.terminate()
    }
  })
  void stage.killRelay(one!)
  const all = await Promise.all(back)
  print(
    'kill -9 of a relay',
    `back ${Math.round(Math.max(...all.map(({ ms }) => ms)))} ms`,
    `refused ${all.reduce((sum, { refused }) => sum + refused, 0)}`
  )
}
