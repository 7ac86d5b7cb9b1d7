/** Peers of the model: all in one L2PS network, all acknowledging, so that the model decides when. */
export const PEERS = 3
export const QUOTA = 4
export const TTL_MS = 40_000

export interface ModelEntry {
  readonly id: string
  readonly from: number
  readonly expiresAt: number
  /** The recipient is away: counts against the sender's quota, until it was received. */
  slot: boolean
  /** Sessions that were sent it and did not acknowledge it. */
  deliveries: number
}

/** What was sent once, and is still in history. */
export interface ModelMessage {
  readonly id: string
  readonly from: number
  readonly to: number
  readonly sentAt: number
}

/** Everything there is to know about three mailboxes. */
export interface Model {
  /** ms, whatever it begins with. */
  clock: number
  sent: number
  readonly here: boolean[]
  readonly mailboxes: ModelEntry[][]
  /** What each peer's session was sent. */
  readonly shown: Set<string>[]
  history: ModelMessage[]
  /** Ids of messages that expired. */
  readonly givenUp: Set<string>
}

export const emptyModel = (): Model => ({
  clock: 0,
  sent: 0,
  here: Array.from({ length: PEERS }, () => false),
  mailboxes: Array.from({ length: PEERS }, () => []),
  shown: Array.from({ length: PEERS }, () => new Set()),
  history: [],
  givenUp: new Set()
})

/** A peer's session ended: what waits for it takes places of its senders. */
export function left(model: Model, peer: number): void {
  model.here[peer] = false
  for (const entry of model.mailboxes[peer]!) {
    entry.slot = true
    if (model.shown[peer]!.has(entry.id)) entry.deliveries += 1
  }
  model.shown[peer]!.clear()
}

/** What a registering peer is given now. */
export const ripe = (model: Model, peer: number): ModelEntry[] =>
  model.mailboxes[peer]!.filter(({ expiresAt }) => expiresAt > model.clock)

export const slotsOf = (model: Model, sender: number): number =>
  model.mailboxes.flat().filter(({ from, slot }) => from === sender && slot).length

/** What two sessions did not acknowledge is sent alone: it may be what ends them. */
const isSuspect = ({ deliveries }: ModelEntry): boolean => deliveries >= 2

/** What a peer that is here is sent next, in order. */
export function due(model: Model, peer: number): ModelEntry[] {
  const isShown = ({ id }: ModelEntry) => model.shown[peer]!.has(id)
  const sent = model.mailboxes[peer]!.filter(isShown)
  const next: ModelEntry[] = []
  for (const entry of ripe(model, peer)) {
    if (isShown(entry)) continue
    const [first] = [...sent, ...next]
    if (first !== undefined && (isSuspect(entry) || isSuspect(first))) break
    next.push(entry)
  }
  return next
}
