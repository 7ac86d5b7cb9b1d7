// Turns the events of the inbox into records under signed checkpoints, off the path of messages.
import type { Database } from '../database/database.ts'
import { ROW_MESSAGES } from '../store/audit-inbox.ts'
import type { Log } from '../util/log.ts'
import { rest } from '../util/timers.ts'
import { integrate, SignerReplaced } from './integrate.ts'
import { restAfter } from './pace.ts'
import type { Publisher } from './publisher.ts'
import { LogUnsafe } from './stored-tree.ts'

export interface SequencerOptions {
  readonly database: Database
  readonly publisher: Publisher
  /** Rest between two rounds when the inbox is empty, ms. */
  readonly intervalMs: number
  /** Events of one batch, about: each holds the event loop for some 10 µs. */
  readonly batchEvents: number
  /** Whether messages wait for the processor: then batches are small, one an interval, until an event is a minute old. */
  readonly isBusy?: () => boolean
  readonly now: () => number
  readonly log: Log
}

/** Without a completed round for so long, the sequencer reports a fault, ms. */
const STALLED_MS = 30_000
/** Longest time that the records may fall behind messages, ms. */
const PATIENCE_MS = 60_000

/** Runs on every server; the database lets one at a time add to the logs. */
export class Sequencer {
  readonly #options: SequencerOptions
  #records = 0
  #lagMs = 0
  #succeededAt: number
  #stop: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #isFailing = false
  #isReplaced = false
  #isGivingWay = false

  constructor(options: SequencerOptions) {
    this.#options = options
    this.#succeededAt = options.now()
  }

  /** Records this server has integrated. */
  get records(): number {
    return this.#records
  }

  /** How old the oldest event of the last batch was when it was integrated, ms. */
  get lagMs(): number {
    return this.#lagMs
  }

  /** Undefined: no fault; else a reason fit for strangers. */
  fault(): string | undefined {
    const { publisher, now } = this.#options
    if (this.#isReplaced) return 'the logs were given to another node key'
    if (publisher.halted.size > 0) return `${publisher.halted.size} audit logs wait for an operator, see the log`
    return now() - this.#succeededAt > STALLED_MS ? 'no progress' : undefined
  }

  start(): void {
    const stop = new AbortController()
    this.#stop = stop
    this.#running = this.#run(stop.signal)
  }

  /** Finishes the round under way. */
  async close(): Promise<void> {
    this.#stop?.abort()
    await this.#running
  }

  /** One batch, and whatever is to be signed; true when more is waiting. */
  async round(): Promise<boolean> {
    const { publisher, now, batchEvents } = this.#options
    if (!publisher.hasChecked) await publisher.publish() // before anything is added to a log that was restored
    const limit = this.#isGivingWay ? Math.min(ROW_MESSAGES, batchEvents) : batchEvents
    const taken = await this.#integrate(limit)
    this.#isReplaced = false
    const halted = publisher.halted.size
    await publisher.publish()
    this.#succeededAt = now()
    return taken >= limit || publisher.halted.size < halted
  }

  async #integrate(limit: number): Promise<number> {
    const { database, publisher, now } = this.#options
    const { signer, check } = publisher
    const batch = { limit, except: [...publisher.halted.keys()], signer, check }
    try {
      const outcome = await database.within(integrate(database.sql, batch))
      this.#lagMs = outcome?.oldestAt === undefined ? 0 : Math.max(0, now() - outcome.oldestAt)
      this.#records += outcome?.taken ?? 0
      return outcome?.taken ?? 0
    } catch (error) {
      this.#isReplaced = error instanceof SignerReplaced
      if (!(error instanceof LogUnsafe)) throw error
      publisher.halt(error)
      return limit // the others' events come next
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const began = performance.now()
      const more = await this.round().then(
        (more) => {
          this.#isFailing = false
          return more
        },
        (error: unknown) => this.#failed(error)
      )
      this.#isGivingWay = this.#givesWay() // asked every round: the meter measures the time between two calls
      if (!more || this.#isGivingWay) {
        await rest(restAfter(performance.now() - began, this.#options.intervalMs), signal)
      }
    }
  }

  #givesWay(): boolean {
    return this.#options.isBusy?.() === true && this.#lagMs < PATIENCE_MS
  }

  #failed(error: unknown): false {
    // Logged once: while the database is away, every round fails alike.
    if (!this.#isFailing) this.#options.log.warn({ err: error }, 'audit records not integrated, will try again')
    this.#isFailing = true
    return false
  }
}
