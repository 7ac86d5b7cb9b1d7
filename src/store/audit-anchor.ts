import type { Sql } from '../database/database.ts'
import { ANCHORS } from './audit-log.ts'

/** A signed checkpoint on its way to the anchor. */
export interface PendingAnchor {
  readonly id: number
  readonly network: string
  readonly note: string
  /** Tries so far, this one included. */
  readonly attempts: number
}

/**
 * Puts the newest checkpoint of every log into the outbox that has none under way, has grown since its last one, and
 * queued that at least `intervalMs` ago. A checkpoint covers every record before it, so the checkpoints published in
 * between need no anchor of their own.
 */
export async function enqueueAnchors(sql: Sql, now: number, intervalMs: number): Promise<void> {
  await sql`
    with due as (
      update audit_log l set anchor_queued_at = ${now}
      where network <> ${ANCHORS} and published_note is not null and anchor_queued_at <= ${now - intervalMs}
        and not exists (select from audit_anchor a where a.log = l.id and a.done_at is null)
        and not exists (select from audit_anchor a
          where a.log = l.id and a.epoch = l.epoch and a.size = l.published_size)
      returning id, epoch, published_size, published_note
    )
    insert into audit_anchor (log, epoch, size, note, created_at, next_attempt_at)
    select id, epoch, published_size, published_note, ${now}, ${now} from due
    on conflict do nothing`
}

/** Takes due checkpoints for this server until `leaseUntil`; one that is not done by then is due again. */
export async function claimAnchors(sql: Sql, now: number, leaseUntil: number, limit: number) {
  return sql<PendingAnchor[]>`
    update audit_anchor a set attempts = attempts + 1, next_attempt_at = ${leaseUntil}
    from audit_log l
    where l.id = a.log and a.id = any(array(
      select id from audit_anchor where done_at is null and next_attempt_at <= ${now}
      order by next_attempt_at limit ${limit} for update skip locked))
    returning a.id, l.network, a.note, a.attempts`
}

/** The checkpoint is anchored, and with it every record below it. */
export async function finishAnchor(sql: Sql, id: number, reference: string, now: number): Promise<void> {
  await sql`
    with done as (
      update audit_anchor set done_at = ${now}, reference = ${reference}
      where id = ${id} and done_at is null returning log, epoch, size
    )
    update audit_log l set anchored_size = greatest(anchored_size, done.size)
    from done where l.id = done.log and l.epoch = done.epoch`
}

export async function postponeAnchor(sql: Sql, id: number, until: number): Promise<void> {
  await sql`update audit_anchor set next_attempt_at = ${until} where id = ${id} and done_at is null`
}
