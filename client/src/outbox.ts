// Messages that are kept by the application's storage until the server has stored them, online or not.
import { toHex } from './base64.ts'
import { createEmitter, type Events } from './events.ts'
import { localError } from './frame.ts'
import type { L2psClient } from './l2ps.ts'
import { hashOf } from './l2ps-answers.ts'
import { type Delivered, deliver, type Item, Lane, type LaneHooks, type OutboxEntry } from './outbox-lane.ts'
import type { Encrypted } from './sealed.ts'
import type { SignalingClient } from './signaling-api.ts'
import type { ClientStorage } from './storage.ts'

export type { Delivered, OutboxEntry } from './outbox-lane.ts'
export { type ClientStorage, indexedDbStorage, memoryStorage } from './storage.ts'

/** What an entry holds beside its body and its recipient, in characters. */
const ENTRY_OVERHEAD = 200

export interface OutboxOptions {
  /** One outbox at a time may use a storage. What it left there is sent when it is opened again. */
  storage: ClientStorage
  /** Most messages that wait; past it `send` rejects with OUTBOX_FULL. Default 1 000. */
  maxMessages?: number | undefined
  /** Most characters that wait, bodies as JSON. Default 10 000 000. */
  maxCharacters?: number | undefined
  /** Wait after a refusal that may pass, doubled from refusal to refusal up to the maximum. Default 1 000 and 60 000. */
  firstDelayMs?: number | undefined
  maximumDelayMs?: number | undefined
}

export interface OutboxEvents {
  /** The server has stored it. */
  sent: { id: string; to: string } & Delivered
  /** The server refused it for good; it is not in the outbox any more. */
  failed: { id: string; to: string; error: Error }
  /** It stays in the outbox and is tried again in `delayMs`. */
  delayed: { id: string; to: string; error: Error; delayMs: number }
}

/** `B`: text over signaling, an encrypted body in L2PS. */
export interface Outbox<B> {
  readonly events: Events<OutboxEvents>
  /** What waits, oldest first. */
  readonly entries: readonly OutboxEntry[]
  /**
   * Keeps a message and sends it as soon as it can, in the order of the calls for one peer. Resolves with its id once
   * the storage has it. Rejects with a RelayError OUTBOX_FULL, or with the error of the storage.
   */
  send(to: string, body: B): Promise<string>
  /** Takes a message out that waits; false when it is not there. It may be on its way already. */
  discard(id: string): Promise<boolean>
  /** Resolves when nothing waits. */
  empty(): Promise<void>
  /** Sends nothing more; what waits stays in the storage. The client stays open. */
  close(): void
}

/** Opens the outbox of a client; messages that wait in the storage are sent once the client is connected. */
export function openOutbox(client: SignalingClient, options: OutboxOptions): Promise<Outbox<string>>
export function openOutbox(client: L2psClient, options: OutboxOptions): Promise<Outbox<Encrypted>>
export async function openOutbox(
  client: SignalingClient | L2psClient,
  options: OutboxOptions
): Promise<Outbox<string> | Outbox<Encrypted>> {
  const owner = client.protocol === 'l2ps' ? `${client.l2psUid} ${client.publicKey}` : client.clientId
  const outbox = new Waiting(client, options, `outbox ${client.protocol} ${owner} `)
  await outbox.load()
  return outbox as Outbox<string> | Outbox<Encrypted>
}

class Waiting implements Outbox<string | Encrypted> {
  readonly events = createEmitter<OutboxEvents>()
  readonly #client: SignalingClient | L2psClient
  readonly #options: OutboxOptions
  readonly #prefix: string
  readonly #lanes = new Map<string, Lane>()
  readonly #stopListening: () => void
  /** In the order of the calls. */
  readonly #items = new Set<Item>()
  #characters = 0
  #counter = 0
  #lastTime = 0
  #isClosed = false
  #whenEmpty: (() => void)[] = []

  constructor(client: SignalingClient | L2psClient, options: OutboxOptions, prefix: string) {
    this.#client = client
    this.#options = options
    this.#prefix = prefix
    const { events } = client as { events: Events<{ connected: unknown }> }
    this.#stopListening = events.on('connected', () => this.#startAll())
  }

  get entries(): readonly OutboxEntry[] {
    return Array.from(this.#items, ({ entry }) => entry)
  }

  async load(): Promise<void> {
    for (const [, value] of await this.#options.storage.entries(this.#prefix)) {
      const entry = value as OutboxEntry
      this.#lastTime = Number.parseInt(entry.id, 10)
      this.#add({ entry, kept: Promise.resolve() })
    }
    this.#startAll()
  }

  async send(to: string, body: string | Encrypted): Promise<string> {
    if (this.#isClosed) throw localError('CLOSED', 'the outbox was closed')
    const { maxMessages = 1_000, maxCharacters = 10_000_000 } = this.#options
    const createdAt = Date.now()
    const entry: OutboxEntry = { id: this.#freshId(createdAt), to, createdAt, body }
    if (this.#items.size >= maxMessages || this.#characters + sizeOf(entry) > maxCharacters) {
      throw localError('OUTBOX_FULL', `${this.#items.size} messages wait in the outbox`)
    }
    const item: Item = { entry, kept: this.#keepFirst(entry) }
    this.#add(item) // before anything is awaited: in the order of the calls, and counted
    try {
      await item.kept
    } catch (cause) {
      this.#take(item)
      this.#tellWhenEmpty()
      throw cause
    }
    this.#lanes.get(to)?.start()
    return entry.id
  }

  async discard(id: string): Promise<boolean> {
    const item = [...this.#items].find(({ entry }) => entry.id === id)
    if (!item) return false
    this.#take(item)
    this.#tellWhenEmpty()
    await this.#forget(item)
    return true
  }

  empty(): Promise<void> {
    if (this.#items.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.push(resolve))
  }

  close(): void {
    this.#isClosed = true
    this.#stopListening()
    for (const lane of this.#lanes.values()) lane.stop()
  }

  async #keepFirst(entry: OutboxEntry): Promise<void> {
    if (typeof entry.body !== 'string') entry.messageHash = await hashOf(entry.body)
    await this.#keep(entry)
  }

  #keep(entry: OutboxEntry): Promise<void> {
    return this.#options.storage.set(this.#prefix + entry.id, entry)
  }

  #add(item: Item): void {
    const { to } = item.entry
    this.#items.add(item)
    this.#characters += sizeOf(item.entry)
    const lane = this.#lanes.get(to) ?? new Lane(this.#laneHooks(to), this.#options)
    this.#lanes.set(to, lane)
    lane.items.push(item)
  }

  /** Takes an item out of memory, if it is there. */
  #take(item: Item): void {
    if (!this.#items.delete(item)) return
    this.#characters -= sizeOf(item.entry)
    const lane = this.#lanes.get(item.entry.to)
    lane?.items.splice(lane.items.indexOf(item), 1)
    if (lane) this.#dropIfEmpty(item.entry.to, lane)
  }

  #dropIfEmpty(to: string, lane: Lane): void {
    if (lane.items.length === 0 && !lane.isRunning) this.#lanes.delete(to)
  }

  #forget({ entry }: Item): Promise<void> {
    return this.#options.storage.delete(this.#prefix + entry.id)
  }

  /** The server has answered. What the storage fails to delete is sent again later, and known as a copy. */
  async #settle(item: Item): Promise<void> {
    this.#take(item)
    await this.#forget(item).catch(() => {})
    this.#tellWhenEmpty()
  }

  #tellWhenEmpty(): void {
    if (this.#items.size > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  #startAll(): void {
    for (const lane of this.#lanes.values()) lane.start()
  }

  #laneHooks(to: string): LaneHooks {
    return {
      isOnline: () => this.#client.state !== 'closed',
      deliver: (entry) => deliver(this.#client, entry, () => this.#keep(entry)),
      onSent: async (item, delivered) => {
        await this.#settle(item)
        this.events.emit('sent', { id: item.entry.id, to, ...delivered })
      },
      onFailed: async (item, error) => {
        await this.#settle(item)
        this.events.emit('failed', { id: item.entry.id, to, error })
      },
      onDelayed: ({ entry: { id } }, error, delayMs) => this.events.emit('delayed', { id, to, error, delayMs }),
      onIdle: () => {
        const lane = this.#lanes.get(to)
        if (lane) this.#dropIfEmpty(to, lane)
      }
    }
  }

  /** Ids sort in the order of the calls, over restarts, too. */
  #freshId(now: number): string {
    this.#counter = now > this.#lastTime ? 0 : this.#counter + 1
    this.#lastTime = Math.max(now, this.#lastTime)
    const random = toHex(crypto.getRandomValues(new Uint8Array(4)))
    return `${String(this.#lastTime).padStart(15, '0')}-${String(this.#counter).padStart(6, '0')}-${random}`
  }
}

/** Of the body and the names, in characters of JSON. */
function sizeOf({ to, body }: OutboxEntry): number {
  const length = typeof body === 'string' ? body.length : JSON.stringify(body).length
  return length + to.length + ENTRY_OVERHEAD
}
