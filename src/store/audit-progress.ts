import type { Sql } from '../database/database.ts'
import { ANCHORS } from './audit-log.ts'

/** A log that is not yet covered by a checkpoint, or not yet anchored. */
export interface LogProgress {
  readonly id: number
  readonly size: number
  readonly publishedSize: number
  readonly anchoredSize: number
  /** Is a checkpoint on its way to the anchor, or should it be? */
  readonly isAnchorDue: boolean
  /** When it went on its way, ms since 1970; null when it has not. */
  readonly carriedSince: number | null
}

export interface AuditProgress {
  /** Records in all logs. */
  readonly records: number
  /** Events in the inbox. */
  readonly waiting: number
  readonly behind: readonly LogProgress[]
}

/** How all logs stand. A log's next checkpoint is due when its last went to the anchor at or before `dueAt`, ms since 1970. */
export async function readAuditProgress(sql: Sql, dueAt: number): Promise<AuditProgress> {
  const [totals, behind] = await Promise.all([
    sql<{ records: number; waiting: number }[]>`
      select (select coalesce(sum(size), 0)::bigint from audit_log) as records,
        (select coalesce(sum(count), 0)::bigint from audit_inbox) as waiting`,
    sql<LogProgress[]>`
      select l.id, size, published_size as "publishedSize", anchored_size as "anchoredSize",
        carried.created_at as "carriedSince",
        network <> ${ANCHORS} and published_size > anchored_size
          and (carried.created_at is not null or anchor_queued_at <= ${dueAt}) as "isAnchorDue"
      from audit_log l left join (select log, created_at from audit_anchor where done_at is null) as carried on carried.log = l.id
      where size > published_size or published_size > anchored_size`
  ])
  return { ...totals[0]!, behind }
}
