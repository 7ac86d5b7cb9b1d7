import type { Bus } from './bus.ts'
import { encodeHandOver, type HandedOver, ITEM_BYTES, REFERENCE_BYTES } from './hand-over.ts'
import type { HandOverNumbers } from './hand-over-numbers.ts'
import { encode } from './messages.ts'

export interface OutboxOptions {
  /** Id of this relay. */
  readonly relay: string
  readonly numbers: HandOverNumbers
  readonly bus: () => Bus | undefined
}

type PresenceChange = readonly [network: string, peer: string, name: string, isConnected: boolean]

/** How long changes of presence are collected, in ms. */
const PRESENCE_MS = 20
/** Changes in one message: a key may have 3,904 characters. */
const MOST_CHANGES = 64

/** What goes to other relays: collected for the rest of the turn, then one message for each relay. */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #items = new Map<string, HandedOver[]>()
  #isScheduled = false
  #changes: PresenceChange[] = []
  #timer: NodeJS.Timeout | undefined
  /** Messages handed over since the start. */
  handedOver = 0

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  add(relay: string, item: HandedOver): void {
    const known = this.#items.get(relay)
    if (known === undefined) this.#items.set(relay, [item])
    else known.push(item)
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => this.#flush())
  }

  announce(change: PresenceChange): void {
    this.#changes.push(change)
    this.#timer ??= setTimeout(() => this.#flushPresence(), PRESENCE_MS)
  }

  #flush(): void {
    this.#isScheduled = false
    for (const [relay, items] of this.#items) this.#send(relay, items)
    this.#items.clear()
  }

  /** While the bus is away nothing is published, and is not kept either; the number grows all the same, so it is missed. */
  #send(relay: string, items: readonly HandedOver[]): void {
    const { numbers, bus: busOf, relay: from } = this.#options
    const bus = busOf()
    const carriesBodies = bus?.carriesBodies === true
    this.handedOver += items.length
    for (const part of parts(items, carriesBodies, bus?.maxBytes ?? Number.POSITIVE_INFINITY)) {
      const number = numbers.next(relay)
      if (bus?.isConnected) bus.publish(relay, encodeHandOver({ from, number, items: part }))
    }
  }

  #flushPresence(): void {
    this.#timer = undefined
    const changes = this.#changes.splice(0)
    const { bus, relay: from } = this.#options
    for (let at = 0; at < changes.length; at += MOST_CHANGES) {
      bus()?.broadcast(encode({ kind: 'presence', from, changes: changes.slice(at, at + MOST_CHANGES) }))
    }
  }
}

function* parts(items: readonly HandedOver[], carriesBodies: boolean, maxBytes: number): Generator<HandedOver[]> {
  let part: HandedOver[] = []
  let bytes = 0
  for (const item of items) {
    const sent = carriesBodies ? item : { ...item, entry: undefined }
    const size = sent.entry === undefined ? REFERENCE_BYTES : ITEM_BYTES + sent.entry.bytes
    if (part.length > 0 && bytes + size > maxBytes) {
      yield part
      part = []
      bytes = 0
    }
    part.push(sent)
    bytes += size
  }
  if (part.length > 0) yield part
}
