import type { Database } from '../database/database.ts'
import { type Watch, type WatchOptions, watchInBackground } from '../observability/poller.ts'
import { type LogProgress, readAuditProgress } from '../store/audit-progress.ts'

/** How the logs of all networks stand. Times in ms since 1970; undefined: no log is behind. */
export interface AuditFigures {
  /** Records in all logs. */
  readonly records: number
  /** Events that wait for their place in a log. */
  readonly waiting: number
  /** Since when a log has had records and no new checkpoint. */
  readonly uncoveredSince: number | undefined
  /** Since when a log's checkpoint is due to be anchored. */
  readonly unanchoredSince: number | undefined
}

export interface AuditFiguresOptions extends Pick<WatchOptions, 'log' | 'restMs'> {
  readonly database: Pick<Database, 'sql' | 'within'>
  /** A log's anchored checkpoints are at least so far apart, ms. */
  readonly anchorIntervalMs: number
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Looks at the logs in the background. */
export function watchAuditFigures(options: AuditFiguresOptions): Watch<AuditFigures> {
  const { database, anchorIntervalMs, now, log, restMs } = options
  const uncovered = new Standstills()
  const unanchored = new Standstills()
  const look = async (): Promise<AuditFigures> => {
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
  return watchInBackground(look, { restMs, log, complaint: 'audit figures not read' })
}

const isUncovered = ({ size, publishedSize }: LogProgress) => size > publishedSize

/** A log that is behind, and the mark that has to move for it to get on. */
interface Behind {
  readonly id: number
  readonly mark: number
  /** Since when it is known to be behind, ms since 1970. */
  readonly since?: number | null
}

/** Since when logs have been behind without getting on: a busy log is always a little behind, and moves. */
class Standstills {
  #known = new Map<number, { mark: number; since: number }>()

  /** Takes all that are behind now; returns since when the one is that has stood still longest. */
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
