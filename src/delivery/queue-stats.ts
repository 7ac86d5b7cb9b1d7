import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
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
  readonly oldestAcceptedAt?: number | undefined
}

export interface QueueSummary {
  /** When it was so, ms since 1970. */
  readonly asOf: number
  readonly signaling: ProtocolQueue
  readonly l2ps: ProtocolQueue
}

/** The relays of a cluster share one count. */
export interface OtherCounters {
  /** Is it for this relay to count? */
  isOurs(): boolean
  /** Where others read the count of this relay. */
  say(latest: () => QueueSummary | undefined): void
  /** Calls `hear` with what the relay that counts says; anything else it does not count. */
  heard(hear: (summary: unknown) => void): void
}

export interface QueueStatsOptions extends Pick<PollerOptions, 'log' | 'restMs'> {
  readonly database: Pick<Database, 'sql' | 'within'>
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Undefined: the relay is alone. */
  readonly others?: OtherCounters | undefined
}

/** How often all entries are counted, in ms: a count reads every one, and corrects what the sums of this process miss. */
const COUNT_MS = 600_000
/** The same in a cluster, where others store and take away, too. A count takes at most a twentieth of the time. */
const SHARED_COUNT_MS = 5_000
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
  /** What the relay that counts for all said last. */
  #heard: QueueSummary | undefined

  constructor(options: QueueStatsOptions) {
    this.#options = options
    const { database, log, restMs, now, others } = options
    others?.say(() => this.#own())
    others?.heard((summary) => {
      if (Summary.Check(summary)) this.#heard = summary
    })
    const readOldest = async () => ({ asOf: now(), ...(await database.within(oldestInQueue(database.sql))) })
    this.#oldest = startPoller(readOldest, { log, restMs, complaint: 'age of the oldest message not read' })
    this.#count = startPoller(() => this.#recount(), {
      log,
      restMs: others === undefined ? COUNT_MS : SHARED_COUNT_MS,
      complaint: 'waiting messages not counted'
    })
  }

  /** Is it this relay that counts? */
  get isOurs(): boolean {
    return this.#options.others?.isOurs() !== false
  }

  stored(network: string, bytes: number): void {
    if (this.#options.others !== undefined) return
    const sum = this.#sums[protocolOf(network)]
    sum.entries += 1
    sum.bytes += bytes
  }

  left(network: string, bytes: number): void {
    if (this.#options.others !== undefined) return
    const sum = this.#sums[protocolOf(network)]
    sum.entries -= 1
    sum.bytes -= bytes
  }

  /** What waits now, as far as this process knows; undefined before the first count. */
  latest(): QueueSummary | undefined {
    return this.isOurs ? this.#own() : this.#heard
  }

  #own(): QueueSummary | undefined {
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
    if (!this.isOurs) return
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

const Queue = Type.Object({
  entries: Type.Number(),
  bytes: Type.Number(),
  oldestAcceptedAt: Type.Optional(Type.Number())
})
const Summary = TypeCompiler.Compile(Type.Object({ asOf: Type.Number(), signaling: Queue, l2ps: Queue }))

const protocolOf = (network: string): ProtocolName => (network === SIGNALING_NETWORK ? 'signaling' : 'l2ps')
