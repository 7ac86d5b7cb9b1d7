import type { Database } from '../database/database.ts'
import { type Poller, type PollerOptions, startPoller } from '../observability/poller.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { countQueue, oldestInQueue } from '../store/mailbox-overview.ts'

type ProtocolName = 'signaling' | 'l2ps'

/** What waits in the mailboxes of one protocol. */
export interface ProtocolQueue {
  readonly entries: number
  readonly bytes: number
  /** ms since 1970; undefined when nothing waits. */
  readonly oldestAcceptedAt: number | undefined
}

export interface QueueSummary {
  /** When it was so, ms since 1970. */
  readonly asOf: number
  readonly signaling: ProtocolQueue
  readonly l2ps: ProtocolQueue
}

export interface QueueStatsOptions extends Pick<PollerOptions, 'log' | 'restMs'> {
  readonly database: Pick<Database, 'sql' | 'within'>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** How often all entries are counted, in ms: a count reads every one, and corrects what the sums of this process miss. */
const COUNT_MS = 600_000
/** Longest a count may take, in ms. */
const COUNT_LIMIT_MS = 300_000

/**
 * How much waits. Entries are counted once at the start and seldom after; in between every stored entry is added and every
 * one that left is taken off, so the sums are there however long the queue is. The age of the oldest is asked for often:
 * an index answers.
 */
export class QueueStats {
  readonly #options: QueueStatsOptions
  readonly #sums = { signaling: { entries: 0, bytes: 0 }, l2ps: { entries: 0, bytes: 0 } }
  readonly #oldest: Poller<{ asOf: number; signaling: number | undefined; l2ps: number | undefined }>
  readonly #count: Poller<void>
  #isCounted = false

  constructor(options: QueueStatsOptions) {
    this.#options = options
    const { database, log, restMs, now } = options
    const readOldest = async () => ({ asOf: now(), ...(await database.within(oldestInQueue(database.sql))) })
    this.#oldest = startPoller(readOldest, { log, restMs, complaint: 'age of the oldest message not read' })
    this.#count = startPoller(() => this.#recount(), {
      log,
      restMs: COUNT_MS,
      complaint: 'waiting messages not counted'
    })
  }

  stored(network: string, bytes: number): void {
    const sum = this.#sums[protocolOf(network)]
    sum.entries += 1
    sum.bytes += bytes
  }

  left(network: string, bytes: number): void {
    const sum = this.#sums[protocolOf(network)]
    sum.entries -= 1
    sum.bytes -= bytes
  }

  /** What waits now, as far as this process knows; undefined before the first count. */
  latest(): QueueSummary | undefined {
    const oldest = this.#oldest.latest()
    if (!this.#isCounted || oldest === undefined) return undefined
    const of = (protocol: ProtocolName): ProtocolQueue => {
      const { entries, bytes } = this.#sums[protocol]
      return { entries: Math.max(0, entries), bytes: Math.max(0, bytes), oldestAcceptedAt: oldest[protocol] }
    }
    return { asOf: oldest.asOf, signaling: of('signaling'), l2ps: of('l2ps') }
  }

  close(): void {
    this.#oldest.close()
    this.#count.close()
  }

  async #recount(): Promise<void> {
    const { database } = this.#options
    const before = structuredClone(this.#sums)
    const counted = await database.within(countQueue(database.sql, COUNT_LIMIT_MS), COUNT_LIMIT_MS)
    for (const protocol of ['signaling', 'l2ps'] as const) {
      const sum = this.#sums[protocol]
      sum.entries += counted[protocol].entries - before[protocol].entries
      sum.bytes += counted[protocol].bytes - before[protocol].bytes
    }
    this.#isCounted = true
  }
}

const protocolOf = (network: string): ProtocolName => (network === SIGNALING_NETWORK ? 'signaling' : 'l2ps')
