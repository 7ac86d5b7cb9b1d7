import type { AnySql, Sql } from '../database/database.ts'
import { type AuditEvent, insertAuditEvents } from './audit-inbox.ts'
import { noteGivenUp } from './given-up.ts'
import { isWithheld } from './mailbox-overview.ts'
import { type GoneEntry, MALFORMED } from './queue-entry.ts'
import { releaseSlots, type SlotUse } from './quota.ts'

/** Which waiting messages: of a network, of one mailbox in it, of one sender, accepted until a time (ms since 1970). */
export interface Selection {
  readonly network: string
  readonly recipient?: string | undefined
  readonly sender?: string | undefined
  readonly acceptedUntil?: number | undefined
  /** Only the one at this place. */
  readonly seq?: number | undefined
}

export interface Amount {
  readonly entries: number
  readonly bytes: number
}

// The statements below choose rows once, as an array. With a join, Postgres may choose them again for every row it reads,
// as long as it has no statistics of a mailbox that has just grown.
const selected = (sql: AnySql, { network, recipient, sender, acceptedUntil, seq }: Selection) => sql`
  entry.network = ${network}
  ${recipient === undefined ? sql`` : sql`and entry.recipient = ${recipient}`}
  ${sender === undefined ? sql`` : sql`and entry.sender = ${sender}`}
  ${seq === undefined ? sql`` : sql`and entry.seq + 0 = ${seq}`}
  ${acceptedUntil === undefined ? sql`` : sql`and entry.accepted_at <= ${acceptedUntil}`}`

export async function countEntries(sql: Sql, selection: Selection): Promise<Amount> {
  const [amount] = await sql<Amount[]>`
    select count(*) as entries, coalesce(sum(size_bytes), 0)::bigint as bytes
    from queue_entry as entry where ${selected(sql, selection)}`
  return amount!
}

/**
 * Deletes up to `limit` of these messages and returns them. In the same transaction it gives their slots back, notes in
 * history that they were given up, and leaves a record for each mailbox. Entries that are locked by a release stay.
 */
export async function purgeEntries(
  sql: Sql,
  selection: Selection,
  limit: number,
  now: number,
  by?: string
): Promise<GoneEntry[]> {
  return sql.begin(async (tx) => {
    const gone = await tx<(SlotUse & GoneEntry & { slot: boolean })[]>`
      delete from queue_entry where seq + 0 = any(array(
        select seq from queue_entry as entry where ${selected(tx, selection)}
        order by recipient, seq limit ${limit} for update skip locked))
      returning seq, network, sender, recipient, size_bytes as bytes, slot`
    if (gone.length === 0) return []
    await noteGivenUp(tx, gone, 'purged')
    await releaseSlots(
      tx,
      gone.filter(({ slot }) => slot)
    )
    await insertAuditEvents(tx, purgeEvents(gone, selection, { acceptedAt: now, by }))
    return [...gone]
  }) as Promise<GoneEntry[]>
}

function purgeEvents(
  gone: readonly SlotUse[],
  { network, sender }: Selection,
  act: { acceptedAt: number; by: string | undefined }
): AuditEvent[] {
  const mailboxes = new Map<string, SlotUse[]>()
  for (const use of gone) {
    const known = mailboxes.get(use.recipient)
    if (known === undefined) mailboxes.set(use.recipient, [use])
    else known.push(use)
  }
  return Array.from(mailboxes, ([recipient, uses]) => ({
    ...{ kind: 'purge' as const, network, recipient, ...act },
    ...(sender === undefined ? {} : { sender }),
    ...{ entries: uses.length, bytes: sumOfBytes(uses) }
  }))
}

const sumOfBytes = (entries: readonly SlotUse[]) => entries.reduce((sum, { bytes }) => sum + bytes, 0)

export interface Requeue {
  readonly network: string
  readonly recipient: string
  readonly sender: string | undefined
  /** Only entries that are withheld; they become readable for the recipient's present key, malformed ones are judged again. */
  readonly withheld: boolean
  /** Their new time, and the oldest entries that are too young to be touched; ms since 1970. */
  readonly expiresAt: number
  readonly acceptedUntil: number
}

/**
 * Gives up to `limit` waiting messages after a place a new time to live, and leaves a record of it in the same
 * transaction. Returns their places, ascending. A name without an owner has no present key: its withheld entries stay.
 */
export async function requeueEntries(
  sql: Sql,
  requeue: Requeue,
  { afterSeq, limit, now, by }: { afterSeq: number; limit: number; now: number; by?: string | undefined }
): Promise<number[]> {
  const { network, recipient, withheld, expiresAt } = requeue
  return sql.begin(async (tx) => {
    const touched = await tx<{ seq: number }[]>`
      update queue_entry as entry
      set expires_at = greatest(entry.expires_at, ${expiresAt}), deliveries = 0 ${withheld ? tx`, key_id = null` : tx``}
      where entry.seq + 0 = any(array(
        select entry.seq from queue_entry as entry
          left join identity on identity.network = entry.network and identity.peer = entry.recipient
        where ${selected(tx, requeue)} and entry.seq > ${afterSeq}
          ${withheld ? tx`and ${isWithheld(tx)} and (identity.key_id is not null or entry.key_id = ${MALFORMED})` : tx``}
        order by entry.seq limit ${limit} for update of entry skip locked))
      returning entry.seq`
    const entries = touched.length
    if (entries > 0) {
      const event = { kind: 'administration', digest: 'requeue', network, sender: recipient, entries } as const
      await insertAuditEvents(tx, [{ ...event, acceptedAt: now, by }])
    }
    return touched.map(({ seq }) => seq).sort((one, other) => one - other)
  }) as Promise<number[]>
}
