import type { Database } from '../database/database.ts'
import { type Poller, type PollerOptions, startPoller } from '../observability/poller.ts'
import { type LogProgress, readAuditProgress } from '../store/audit-log.ts'

/** The progress of all logs together. Times in ms since 1970; undefined: no log is behind. */
export interface AuditStats {
  /** Records in all logs. */
  readonly records: number
  /** Events that wait for their place in a log. */
  readonly waiting: number
  /** Since when a log has had records and no new checkpoint. */
  readonly uncoveredSince: number | undefined
  /** Since when a log's checkpoint is due to be anchored. */
  readonly unanchoredSince: number | undefined
}

export interface AuditStatsOptions extends Pick<PollerOptions, 'log' | 'restMs'> {
  readonly database: Pick<Database, 'sql' | 'within'>
  /** A log's anchored checkpoints are at least so far apart, ms. */
  readonly anchorIntervalMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Polls the progress of all logs in the background. */
export function watchAuditStats(options: AuditStatsOptions): Poller<AuditStats> {
  const { database, anchorIntervalMs, now, log, restMs } = options
  const uncovered = new StallTimes()
  const unanchored = new StallTimes()
  const poll = async (): Promise<AuditStats> => {
    const asOf = now()
    const { records, waiting, behind } = await database.within(readAuditProgress(database.sql, asOf - anchorIntervalMs))
    return {
      ...{ records, waiting },
      uncoveredSince: uncovered.oldest(
        behind.filter(isUncovered).map(({ id, publishedSize }) => ({ id, mark: publishedSize })),
        asOf
      ),
      unanchoredSince: unanchored.oldest(
        behind
          .filter(({ isAnchorDue }) => isAnchorDue)
          .map(({ id, anchoredSize, carriedSince }) => ({ id, mark: anchoredSize, since: carriedSince })),
        asOf
      )
    }
  }
  return startPoller(poll, { restMs, log, complaint: 'progress of the audit trail not read' })
}

const isUncovered = ({ size, publishedSize }: LogProgress) => size > publishedSize

/** A log that is behind, and the size that has to grow for it to catch up. */
interface Behind {
  readonly id: number
  readonly mark: number
  /** Since when it is known to be behind, ms since 1970. */
  readonly since?: number | null
}

/** Since when logs have been behind without moving. A busy log is always a little behind, but moves. */
class StallTimes {
  #known = new Map<number, { mark: number; since: number }>()

  /** Takes all logs that are behind now; returns since when the longest stalled one has not moved. */
  oldest(logs: readonly Behind[], now: number): number | undefined {
    const entries = logs.map(({ id, mark, since }) => {
      const before = this.#known.get(id)
      const seenAt = before?.mark === mark ? before.since : now
      return [id, { mark, since: Math.min(since ?? now, seenAt) }] as const
    })
    this.#known = new Map(entries)
    return entries.length === 0 ? undefined : Math.min(...entries.map(([, { since }]) => since))
  }
}
