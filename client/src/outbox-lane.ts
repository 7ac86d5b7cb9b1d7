// The messages of an outbox for one peer: sent one after the other, each until the server has stored or refused it.
import { digestOf } from './digest.ts'
import { RelayError } from './frame.ts'
import type { L2psClient } from './l2ps.ts'
import { type Encrypted, type Sealed, seal } from './sealed.ts'
import type { Outcome } from './signaling-answers.ts'
import type { SignalingClient } from './signaling-api.ts'

/** Refusals after which the same message is sent again later; every other refusal of the server is final. */
const TRANSIENT = [
  ...['NOT_CONNECTED', 'TIMEOUT', 'CLOSED', 'UNCONFIRMED', 'INVALID_ANSWER'],
  ...['RATE_LIMITED', 'INTERNAL_ERROR', 'REGISTRATION_REQUIRED']
]

export interface OutboxEntry {
  readonly id: string
  readonly to: string
  /** Unix milliseconds. */
  readonly createdAt: number
  /** Over signaling the text, readable in the storage until the server has the message; in L2PS the encrypted body. */
  readonly body: string | Encrypted
  /** L2PS: names the message, so that it is delivered once however often it is sent. */
  messageHash?: string
  /** Signaling: the body that was sent last. Its recipient knows a copy by its bytes. */
  sealed?: Sealed
  /** The key that `sealed` is for: SHA-256, in hex. */
  sealedFor?: string
}

export interface Item {
  readonly entry: OutboxEntry
  /** Resolves when the storage has it; it is not sent before. */
  readonly kept: Promise<void>
}

/** What the server has stored. */
export interface Delivered {
  status: Outcome
  /** Signaling: SHA-256 of the body's text, in hex; by it the message is on record. */
  digest?: string
}

export interface LaneHooks {
  /** Whether the client is connected, or is trying to connect. */
  isOnline(): boolean
  deliver(entry: OutboxEntry): Promise<Delivered>
  /** Both take the item out of the lane. */
  onSent(item: Item, delivered: Delivered): Promise<void>
  onFailed(item: Item, error: Error): Promise<void>
  onDelayed(item: Item, error: Error, delayMs: number): void
  onIdle(): void
}

/**
 *     idle --start(), not offline--> sending --stored, or refused for good--> sending the next, or idle
 *                                    sending --refused for now--> waiting --time passed, or start()--> sending
 *                                    sending, waiting --stop(), or the client was closed--> idle
 */
export class Lane {
  readonly items: Item[] = []
  isRunning = false
  readonly #hooks: LaneHooks
  readonly #firstDelayMs: number
  readonly #maximumDelayMs: number
  #isStopped = false
  #endPause: (() => void) | undefined

  constructor(hooks: LaneHooks, delays: { firstDelayMs?: number | undefined; maximumDelayMs?: number | undefined }) {
    this.#hooks = hooks
    this.#firstDelayMs = delays.firstDelayMs ?? 1_000
    this.#maximumDelayMs = delays.maximumDelayMs ?? 60_000
  }

  /** Begins to send; ends a wait. */
  start(): void {
    this.#endPause?.()
    if (!this.isRunning) void this.#run()
  }

  stop(): void {
    this.#isStopped = true
    this.#endPause?.()
  }

  async #run(): Promise<void> {
    this.isRunning = true
    let delayMs = this.#firstDelayMs
    while (this.items[0] && this.#mayRun()) {
      const item = this.items[0]
      const refusal = await this.#attempt(item)
      if (!refusal) delayMs = this.#firstDelayMs
      else if (this.#mayRun()) {
        this.#hooks.onDelayed(item, refusal, delayMs)
        await this.#pause(delayMs)
        delayMs = Math.min(2 * delayMs, this.#maximumDelayMs)
      }
    }
    this.isRunning = false
    this.#hooks.onIdle()
  }

  #mayRun(): boolean {
    return !this.#isStopped && this.#hooks.isOnline()
  }

  /** What was in the way, if it may pass. */
  async #attempt(item: Item): Promise<Error | undefined> {
    if (!(await item.kept.then(() => true).catch(() => false))) return undefined // its `send` takes it out
    let delivered: Delivered
    try {
      delivered = await this.#hooks.deliver(item.entry)
    } catch (cause) {
      const isFinal = cause instanceof RelayError && !TRANSIENT.includes(cause.errorType)
      if (!isFinal) return cause as Error
      await this.#hooks.onFailed(item, cause)
      return undefined
    }
    await this.#hooks.onSent(item, delivered)
    return undefined
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endPause = () => {
        clearTimeout(timer)
        this.#endPause = undefined
        resolve()
      }
    })
  }
}

/** Sends an entry once; `keep` writes it to the storage after a change. */
export async function deliver(
  client: SignalingClient | L2psClient,
  entry: OutboxEntry,
  keep: () => Promise<void>
): Promise<Delivered> {
  const { to, body, messageHash } = entry
  if (client.protocol === 'l2ps') {
    const { status } = await client.send(to, body as Encrypted, { messageHash })
    return { status }
  }
  const { status, digest } = await client.sendSealedConfirmed(to, () => sealedFor(client, entry, keep))
  return { status, digest }
}

/** In the same bytes as before; but sealed anew for another key, since the recipient could not open the first copy. */
async function sealedFor(client: SignalingClient, entry: OutboxEntry, keep: () => Promise<void>): Promise<Sealed> {
  const key = await client.requestPublicKey(entry.to)
  const digest = await digestOf(key)
  if (!entry.sealed || entry.sealedFor !== digest) {
    entry.sealed = await seal(entry.body as string, key)
    entry.sealedFor = digest
    await keep()
  }
  return entry.sealed
}
