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
  model.shown[peer]!.clear()
  for (const entry of model.mailboxes[peer]!) entry.slot = true
}

/** What a registering peer is given now. */
export const ripe = (model: Model, peer: number): ModelEntry[] =>
  model.mailboxes[peer]!.filter(({ expiresAt }) => expiresAt > model.clock)

export const slotsOf = (model: Model, sender: number): number =>
  model.mailboxes.flat().filter(({ from, slot }) => from === sender && slot).length
