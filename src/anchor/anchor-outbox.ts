// Carries signed checkpoints to the anchor, each once, as long as it takes; nobody who sends messages waits for it.

import { rest } from '../audit/sequencer.ts'
import type { Database } from '../database/database.ts'
import {
  claimAnchors,
  enqueueAnchors,
  finishAnchor,
  type PendingAnchor,
  postponeAnchor
} from '../store/audit-anchor.ts'
import { parseCheckpoint } from '../tlog/note.ts'
import type { Log } from '../util/log.ts'
import type { Anchor } from './anchor.ts'

export interface AnchorOutboxOptions {
  readonly database: Database
  readonly anchor: Anchor
  /** A log's checkpoints are at least so far apart, ms: a record is confirmed about so long after it is signed. */
  readonly intervalMs: number
  /** Checkpoints carried at the same time. */
  readonly parallel: number
  readonly now: () => number
  readonly log: Log
}

/** A server that has not anchored a checkpoint by then has probably died; longer than any anchor takes, ms. */
const LEASE_MS = 600_000
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 600_000
/** How often new checkpoints and due retries are looked for, ms. */
const LOOK_MS = 1_000

export class AnchorOutbox {
  readonly #options: AnchorOutboxOptions
  #stop: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #failures = 0
  #isFailing = false

  constructor(options: AnchorOutboxOptions) {
    this.#options = options
  }

  /** Attempts that failed since the start. */
  get failures(): number {
    return this.#failures
  }

  start(): void {
    const stop = new AbortController()
    this.#stop = stop
    this.#running = this.#run(stop.signal)
  }

  /** Waits for the anchors under way, at most `ms`; what is not done by then is done again after the next start. */
  async close(ms = 2_000): Promise<void> {
    this.#stop?.abort()
    await Promise.race([this.#running, rest(ms, new AbortController().signal)])
  }

  /** Takes new checkpoints when it is time, and carries what is due. */
  async round(): Promise<void> {
    const { database, intervalMs, parallel, now } = this.#options
    await database.within(enqueueAnchors(database.sql, now(), intervalMs))
    for (;;) {
      const due = await database.within(claimAnchors(database.sql, now(), now() + LEASE_MS, parallel))
      await Promise.all(due.map((each) => this.#carry(each)))
      if (due.length < parallel || this.#stop?.signal.aborted) return
    }
  }

  async #carry({ id, network, note, attempts }: PendingAnchor): Promise<void> {
    const { database, anchor, now, log } = this.#options
    const { origin, size, root } = parseCheckpoint(note)
    const rootHash = Buffer.from(root).toString('hex')
    try {
      const { reference } = await anchor.anchor({ network, origin, size, rootHash, note })
      await database.within(finishAnchor(database.sql, id, reference, now()))
      log.debug({ network, size, anchor: anchor.name, reference }, 'checkpoint anchored')
    } catch (error) {
      const retryMs = pauseAfter(error, attempts)
      this.#failures += 1
      log.warn({ err: error, network, size, anchor: anchor.name, attempts, retryMs }, 'checkpoint not anchored yet')
      await database.within(postponeAnchor(database.sql, id, now() + retryMs))
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.round()
        this.#isFailing = false
      } catch (error) {
        if (!this.#isFailing) this.#options.log.warn({ err: error }, 'anchors not looked after, will try again')
        this.#isFailing = true
      }
      await rest(LOOK_MS, signal)
    }
  }
}

function pauseAfter(error: unknown, attempts: number): number {
  const { retryAfterMs } = (error ?? {}) as { retryAfterMs?: unknown }
  const wanted = typeof retryAfterMs === 'number' ? retryAfterMs : FIRST_RETRY_MS * 2 ** (attempts - 1)
  return Math.min(wanted, LONGEST_RETRY_MS)
}
