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

/** Any number that no other lock has. Under it one relay at a time takes checkpoints. */
const LOCK = 30_053_014

/**
 * Takes due checkpoints for a relay, which carries them until they are finished or postponed, or until it is gone: its
 * lease in the table `relay` has ended, or it has none, as a relay that is alone and lets no other run. Takes none while
 * another relay carries any. After a crash of Postgres that table is empty for a second, so two may carry one then.
 */
export async function claimAnchors(sql: Sql, relay: string, now: number, limit: number): Promise<PendingAnchor[]> {
  const claimed = await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LOCK})`
    return tx<PendingAnchor[]>`
      update audit_anchor a set attempts = attempts + 1, relay = ${relay}::uuid
      from audit_log l
      where l.id = a.log and a.id = any(array(
        select id from audit_anchor
        where done_at is null and next_attempt_at <= ${now}
          and not exists (
            select from audit_anchor other join relay r on r.id = other.relay and r.lease_until > now()
            where other.done_at is null and other.relay <> ${relay}::uuid)
        order by next_attempt_at limit ${limit} for update skip locked))
      returning a.id, l.network, a.note, a.attempts`
  })
  return [...claimed]
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

/** It was not anchored. Has no effect when another relay carries it meanwhile. */
export async function postponeAnchor(sql: Sql, relay: string, id: number, until: number): Promise<void> {
  await sql`
    update audit_anchor set next_attempt_at = ${until}, relay = null
    where id = ${id} and relay = ${relay}::uuid and done_at is null`
}
