import type { Fault, History, PeerEvent } from './history.ts'

/** What a history shows; every list names the messages that are wrong, and should be empty. */
export interface Verdict {
  readonly attempted: number
  readonly acknowledged: number
  readonly refused: number
  readonly unknown: number
  /** Messages that arrived, each counted once. */
  readonly delivered: number
  /** Deliveries beyond the first that a fault excuses. */
  readonly redelivered: number
  /** Acknowledged and never delivered. */
  readonly lost: readonly string[]
  /** Delivered again in one session, or with no fault about the time of an earlier delivery. */
  readonly duplicated: readonly string[]
  /** Delivered but never sent, refused, or to somebody else; or answered as they cannot be. */
  readonly unexpected: readonly string[]
  /** Overtaken by a message that the same sender sent to the same recipient later. */
  readonly outOfOrder: readonly string[]
  /** Acknowledged while nothing could be committed. */
  readonly falseYes: readonly string[]
  /** Never answered although the connection lived. */
  readonly silent: readonly string[]
}

/** How long after a delivery its receipt may still be on its way to the database, in ms: a fault then undoes it. */
const RECEIPT_MS = 3_000
/** How late an event may be noted, in ms: the machine is busy. */
const LATE_MS = 2_000
/** An answer heard this long after the commits stopped may be about a commit before, in ms. */
const IN_FLIGHT_MS = LATE_MS

type Delivery = Extract<PeerEvent, { kind: 'delivery' }>

interface Message {
  readonly id: string
  readonly from: string
  readonly to: string
  attempts: number
  answers: Extract<PeerEvent, { kind: 'answer' }>[]
  deliveries: Delivery[]
}

/** Compares what senders were told with what recipients got, in the manner of Jepsen's total-queue. */
export function judge({ events, faults }: History): Verdict {
  const { messages, strangers, silent } = gather(events)
  const all = [...messages.values()]
  const acknowledged = all.filter(isAcknowledged)
  const refused = all.filter(isRefused)
  const undoing = faults.filter(({ undoesReceipts }) => undoesReceipts)
  const repeats = all
    .filter(({ deliveries }) => deliveries.length > 1)
    .flatMap((message) => repeatsOf(message, [...undoing, ...leavesOf(events, message.to)]))
  return {
    attempted: all.length,
    acknowledged: acknowledged.length,
    refused: refused.length,
    unknown: all.length - acknowledged.length - refused.length,
    delivered: all.filter(({ deliveries }) => deliveries.length > 0).length,
    redelivered: repeats.filter(({ excused }) => excused).length,
    lost: acknowledged.filter(({ deliveries }) => deliveries.length === 0).map(({ id }) => id),
    duplicated: repeats.filter(({ excused }) => !excused).map(({ id }) => id),
    unexpected: [...strangers, ...all.filter(isUnexpected).map(explain)],
    outOfOrder: overtaken(acknowledged, events),
    falseYes: acknowledged.filter((message) => isFalse(message, faults)).map(({ id }) => id),
    silent
  }
}

/** Is there anything wrong? */
export const isFlawless = ({ lost, duplicated, unexpected, outOfOrder, falseYes, silent }: Verdict): boolean =>
  [lost, duplicated, unexpected, outOfOrder, falseYes, silent].every((list) => list.length === 0)

/** Tells of every message that is wrong what happened to it, and what was broken and who left meanwhile. In ms since the first event. */
export function storiesOf({ events, faults }: History, verdict: Verdict): string[] {
  const { lost, duplicated, unexpected, outOfOrder, falseYes, silent } = verdict
  const wrong = new Set(
    [lost, duplicated, unexpected, outOfOrder, outOfOrder.flatMap((id) => overtakersOf(id, events)), falseYes, silent]
      .flat()
      .map((id) => id.split(':')[0]!)
  )
  const start = events[0]?.at ?? 0
  const timed = (at: number, what: string) => `${at - start} ${what}`
  return [...wrong].map((id) => {
    const own = events.filter((event) => event.kind !== 'left' && event.id === id)
    const peers = new Set(own.flatMap((event) => ('to' in event ? [event.to] : [])))
    const story = [
      ...own.map(({ at, ...facts }) => ({ at, text: timed(at, JSON.stringify(facts)) })),
      ...events.flatMap((event) =>
        event.kind === 'left' && peers.has(event.peer)
          ? [{ at: event.at, text: timed(event.at, 'its recipient left') }]
          : []
      ),
      ...faults.map(({ name, from, to }) => ({ at: from, text: `${timed(from, name)} until ${to - start}` }))
    ]
    return [`${id}:`, ...story.sort((a, b) => a.at - b.at).map(({ text }) => `  ${text}`)].join('\n')
  })
}

function gather(events: readonly PeerEvent[]) {
  const messages = new Map<string, Message>()
  const strangers: string[] = []
  const silent: string[] = []
  for (const event of events) {
    if (event.kind === 'attempt') {
      const { id, from, to } = event
      const known = messages.get(id)
      if (known === undefined) messages.set(id, { id, from, to, attempts: 1, answers: [], deliveries: [] })
      else known.attempts += 1
    } else if (event.kind === 'answer') messages.get(event.id)?.answers.push(event)
    else if (event.kind === 'silence') silent.push(event.id)
  }
  // Afterwards: events of two processes are not noted in the order in which they happened.
  for (const event of events) {
    if (event.kind !== 'delivery') continue
    const message = messages.get(event.id)
    if (message === undefined) strangers.push(`${event.id}: nobody sent it`)
    else message.deliveries.push(event)
  }
  return { messages, strangers, silent }
}

const isAcknowledged = ({ answers }: Message) => answers.some(({ outcome }) => outcome === 'acknowledged')
const isRefused = ({ answers, attempts }: Message) =>
  answers.length === attempts && answers.every(({ outcome }) => outcome === 'refused')
const isMisdelivered = ({ from, to, deliveries }: Message) => deliveries.some((d) => d.to !== to || d.from !== from)
const isUnexpected = (message: Message) =>
  isMisdelivered(message) ||
  (isRefused(message) && message.deliveries.length > 0) ||
  message.answers.some(({ outcome }) => outcome === 'absurd')

function explain(message: Message): string {
  if (isMisdelivered(message)) return `${message.id}: delivered to or from somebody else`
  return `${message.id}: ${message.answers.map(({ outcome, words = '' }) => `${outcome} ${words}`).join(', ')}`
}

/** Every delivery beyond the first, and whether a fault excuses it: one that hit the receipt of the delivery before. */
function repeatsOf({ id, deliveries }: Message, faults: readonly Pick<Fault, 'from' | 'to'>[]) {
  return deliveries.slice(1).map((delivery, index) => {
    const before = deliveries[index]!
    const hit = faults.some(({ from, to }) => before.at >= from - RECEIPT_MS && before.at <= to + LATE_MS)
    return { id, excused: hit && delivery.session !== before.session }
  })
}

const leavesOf = (events: readonly PeerEvent[], peer: string) =>
  events.filter((event) => event.kind === 'left' && event.peer === peer).map(({ at }) => ({ from: at, to: at }))

/** Those sent more than once have no one place in the order, and are left out. */
function overtaken(acknowledged: readonly Message[], events: readonly PeerEvent[]): string[] {
  const places = new Map(acknowledged.filter(({ attempts }) => attempts === 1).map(({ id }, place) => [id, place]))
  const furthest = new Map<string, number>()
  const seen = new Set<string>()
  const late: string[] = []
  for (const event of events) {
    const place = event.kind === 'delivery' ? places.get(event.id) : undefined
    if (event.kind !== 'delivery' || place === undefined || seen.has(event.id)) continue
    seen.add(event.id)
    const pair = `${event.from} ${event.to}`
    if (place < (furthest.get(pair) ?? 0)) late.push(event.id)
    else furthest.set(pair, place)
  }
  return late
}

/** What its recipient got of the same sender right before it: for one out of order, what overtook it among it. */
function overtakersOf(id: string, events: readonly PeerEvent[]): string[] {
  const at = events.findIndex((event) => event.kind === 'delivery' && event.id === id)
  const late = events[at] as Delivery
  const before = events.slice(0, at).filter((event) => event.kind === 'delivery')
  return before
    .filter(({ from, to }) => from === late.from && to === late.to)
    .slice(-3)
    .map((event) => event.id)
}

const isFalse = ({ answers }: Message, faults: readonly Fault[]) =>
  answers.some(
    ({ at, outcome }) =>
      outcome === 'acknowledged' &&
      faults.some(({ from, to, stopsCommits }) => stopsCommits && at > from + IN_FLIGHT_MS && at < to)
  )
