// A load generator: many peers in one process, told by the benchmark what to do.
import { closedLoop, type LoopOptions, settled } from './load/closed-loop.ts'
import { Flow } from './load/flow.ts'
import { type PublishRequest, publishDurably } from './load/jet-stream.ts'
import { type Joined, joinAll } from './load/joined.ts'
import { emptyMailboxes, fillMailboxes, sendAll } from './load/mailboxes.ts'
import { type PacedOptions, paced, sendSteadily } from './load/paced.ts'
import { readBack } from './load/pages.ts'
import { isFlawless } from './load/verification.ts'
import { answerParent, mark } from './parent.ts'
import { protocolNamed } from './protocols/index.ts'
import type { Algorithm, BenchPeer, Protocol, ProtocolName } from './protocols/protocol.ts'

/** Where to, and how it is spoken there. */
interface Target {
  readonly url: string
  readonly protocol: ProtocolName
}
interface Crowd {
  readonly prefix: string
  readonly count: number
  readonly algorithm: Algorithm
  readonly concurrency?: number
  /** The local address they connect from; `own`: each from one of its own, in the network 127.`own`. */
  readonly from?: string
  readonly own?: number
  /** Does one that is refused, or cut off, come back? */
  readonly comesBack?: boolean
}
interface Pairs extends Target {
  readonly prefix: string
  readonly pairs: number
  readonly bodyBytes: number
  /** Where each pair's sender and recipient connect, one pair after the other and again from the first. */
  readonly seats?: readonly (readonly [sender: string, recipient: string])[]
  /** Does each recipient send to its sender as well? */
  readonly twoWay?: boolean
}

const CONCURRENCY = 128
const HISTORY_WINDOW = 32

/** Peers that stay connected until they are told to leave, by the prefix of their names. */
const crowds = new Map<string, Joined[]>()
const flowsToAbsent = new Map<string, Flow[]>()

answerParent({
  /** Makes peers and connects them, all at once. */
  join: async (request: Target & Crowd) => {
    const protocol = protocolNamed(request.protocol)
    const peers = await protocol.newPeers(request.prefix, request.count, request.algorithm)
    mark('begin')
    const { url, concurrency = CONCURRENCY, from, own, comesBack = false } = request
    const addressOf = (index: number) => (own === undefined ? from : `127.${own}.${index >> 7}.${1 + (index & 127)}`)
    const optionsOf = (index: number) => ({ from: addressOf(index) })
    const { joined, report } = await joinAll(url, protocol, peers, { concurrency, comesBack, optionsOf })
    mark('end')
    crowds.set(request.prefix, joined)
    return report
  },
  /** How many of a crowd are still connected? */
  present: async ({ prefix }: { prefix: string }) => (crowds.get(prefix) ?? []).filter((peer) => peer.isOpen).length,
  leave: async ({ prefix }: { prefix: string }) => {
    const crowd = crowds.get(prefix) ?? []
    crowds.delete(prefix)
    await Promise.all(crowd.map((peer) => peer.leave()))
  },
  relay: (request: Pairs & Omit<LoopOptions, 'confirmed'>) =>
    withPairs(request, (flows, confirmed) => closedLoop(flows, { ...request, confirmed })),
  paced: (request: Pairs & Omit<PacedOptions, 'confirmed'>) =>
    withPairs(request, (flows, confirmed) => paced(flows, { ...request, confirmed })),
  /** The same bodies into a JetStream, each acknowledged. */
  publish: (request: PublishRequest) => publishDurably(request),
  /** Recipients stop to read, and are sent `each` messages all the same. They stay until this process ends. */
  stall: async (request: Pairs & { each: number; pauseMs?: number }) => {
    const { flows, recipients } = await seat(request)
    for (const recipient of recipients) recipient.stopReading()
    await sendSteadily(flows, request.each, request.pauseMs ?? 2)
    return flows.length
  },
  /** Recipients register, so that their keys are known, and leave; then messages are stored for them. */
  store: async (request: Pairs & { each: number; window: number }) => {
    const { flows, senders, recipients } = await seat(request)
    await Promise.all(recipients.map((peer) => peer.leave()))
    flowsToAbsent.set(request.prefix, flows)
    const report = await fillMailboxes(flows, request.each, request.window)
    await Promise.all(senders.map((peer) => peer.leave()))
    return report
  },
  /** A conversation of each pair is made, and read back, all of them at the same time. */
  history: (request: Pairs & { each: number; limit: number; rounds: number }) =>
    withPairs(request, async (flows, confirmed, senders) => {
      const readers = senders.map((reader, index) => ({ reader, peerKey: flows[index]!.recipient.name }))
      await sendAll(flows, request.each, HISTORY_WINDOW)
      const made = await settled(flows, confirmed)
      if (!isFlawless(made)) throw new Error(`the conversation could not be made: ${JSON.stringify(made)}`)
      return readBack(readers, request.each, request.limit, request.rounds)
    }),
  drain: async ({ prefix, url, protocol: name }: Target & { prefix: string }) => {
    const flows = flowsToAbsent.get(prefix) ?? []
    flowsToAbsent.delete(prefix)
    const peers: BenchPeer[] = flows.map((flow) => flow.recipient)
    let recipients: Joined[] = []
    const report = await emptyMailboxes(flows, async () => {
      const hear = (index: number) => ({ hear: flows[index]?.hearAsRecipient })
      recipients = (await joinAll(url, protocolNamed(name), peers, { concurrency: CONCURRENCY, optionsOf: hear }))
        .joined
    })
    await Promise.all(recipients.map((peer) => peer.leave()))
    return report
  }
})

async function withPairs<T>(
  request: Pairs,
  work: (flows: Flow[], confirmed: boolean, senders: Joined[]) => Promise<T>
): Promise<T> {
  const { flows, senders, recipients } = await seat(request)
  try {
    return await work(flows, protocolNamed(request.protocol).confirmsDelivery, senders)
  } finally {
    await Promise.all([...senders, ...recipients].map((peer) => peer.leave()))
  }
}

/** Connects both ends of every pair. */
async function seat({ url, protocol: name, prefix, pairs, bodyBytes, seats = [[url, url]], twoWay = false }: Pairs) {
  const protocol = protocolNamed(name)
  const peers = await protocol.newPeers(prefix, 2 * pairs, 'ed25519')
  const flow = (from: number, to: number) => new Flow(protocol, peers[from]!, peers[to]!, bodyBytes)
  const there = Array.from({ length: pairs }, (_, i) => flow(i, pairs + i))
  const back = twoWay ? there.map((_, i) => flow(pairs + i, i)) : []
  const urlOf = (index: number) => seats[(index % pairs) % seats.length]![index < pairs ? 0 : 1]
  const { joined } = await joinAll(url, protocol, peers, {
    concurrency: CONCURRENCY,
    optionsOf: (index) => ({ url: urlOf(index) })
  })
  const senders = joined.slice(0, pairs)
  const recipients = joined.slice(pairs)
  for (let i = 0; i < pairs; i++) {
    connect(protocol, senders[i]!, there[i], back[i])
    connect(protocol, recipients[i]!, back[i], there[i])
  }
  return { flows: [...there, ...back], senders, recipients }
}

/** What a peer hears goes to the flow it sends, or to the one it receives. */
function connect(protocol: Protocol, peer: Joined, out: Flow | undefined, into: Flow | undefined): void {
  out?.sendFrom(peer)
  if (out === undefined && into !== undefined) peer.hear = into.hearAsRecipient
  else if (out !== undefined && into !== undefined) {
    peer.hear = (frame) =>
      protocol.kindOf(frame) === 'delivery' ? into.hearAsRecipient(frame) : out.hearAsSender(frame)
  }
}
