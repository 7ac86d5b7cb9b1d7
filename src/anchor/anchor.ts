// Anchors: places outside the log that fix its signed checkpoints, so that the node cannot take them back.
import { setTimeout as delay } from 'node:timers/promises'
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
import { rest } from '../util/timers.ts'

/** A signed checkpoint of one network's log. */
export interface AnchoredCheckpoint {
  readonly network: string
  /** The log's name, first line of the note. */
  readonly origin: string
  /** Records in the tree. */
  readonly size: number
  /** RFC 6962 root, 64 hex digits. */
  readonly rootHash: string
  /** The whole signed note. */
  readonly note: string
}

export interface Anchor {
  readonly name: string
  /**
   * Fixes a checkpoint and returns where it can be found. Idempotent by checkpoint: it is called again after a failure,
   * a restart or a crash, and must then find what it did before. Throws when it could not, and is asked again: after
   * `retryAfterMs` of the error when that is a number, else after a growing pause.
   */
  anchor(checkpoint: AnchoredCheckpoint): Promise<{ reference: string }>
}

export interface AnchorOutboxOptions {
  readonly database: Database
  readonly anchor: Anchor
  /** A log's checkpoints are at least so far apart, ms: a record is confirmed about so long after it is signed. */
  readonly intervalMs: number
  /** Checkpoints carried at the same time. */
  readonly parallel: number
  /** Whose checkpoints they are meanwhile: the id of the relay in its cluster, else one of this start. */
  readonly relay: string
  readonly now: () => number
  readonly log: Log
}

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 600_000
/** Rest between two polls for new checkpoints and due retries, ms. */
const POLL_MS = 1_000

/** Carries signed checkpoints to the anchor, each until it is there, off the path of messages. */
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
    await Promise.race([this.#running, delay(ms, undefined, { ref: false })])
  }

  /** Enqueues new checkpoints that are due, and carries those whose turn it is to the anchor. */
  async round(): Promise<void> {
    const { database, intervalMs, parallel, relay, now } = this.#options
    await database.within(enqueueAnchors(database.sql, now(), intervalMs))
    for (;;) {
      const due = await database.within(claimAnchors(database.sql, relay, now(), parallel))
      const carried = await Promise.allSettled(due.map((each) => this.#carry(each))) // all: they may be claimed again
      for (const each of carried) if (each.status === 'rejected') throw each.reason
      if (due.length < parallel || this.#stop?.signal.aborted) return
    }
  }

  async #carry({ id, network, note, attempts }: PendingAnchor): Promise<void> {
    const { database, anchor, relay, now, log } = this.#options
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
      await database.within(postponeAnchor(database.sql, relay, id, now() + retryMs))
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
      await rest(POLL_MS, signal)
    }
  }
}

function pauseAfter(error: unknown, attempts: number): number {
  const { retryAfterMs } = (error ?? {}) as { retryAfterMs?: unknown }
  const wanted = typeof retryAfterMs === 'number' ? retryAfterMs : FIRST_RETRY_MS * 2 ** (attempts - 1)
  return Math.min(wanted, LONGEST_RETRY_MS)
}
