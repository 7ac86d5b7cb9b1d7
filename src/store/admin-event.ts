import type { AnySql, Sql } from '../database/database.ts'

/** What an administrator did. */
export interface AdminEvent {
  readonly id: number
  /** ms since 1970. */
  readonly at: number
  /** Name of the token; null: done before names were kept. */
  readonly token: string | null
  readonly action: string
  readonly network: string
  /** Whom it was done to, or whose mailbox; null: the network. */
  readonly peer: string | null
  /** Only what this sender had sent. */
  readonly sender: string | null
  readonly entries: number | null
  readonly bytes: number | null
}

export const ADMIN_ACTIONS = [
  ...['purge', 'requeue', 'sessionClose', 'identityRelease', 'memberAdd', 'memberRemove'],
  ...['networkCreate', 'networkChange', 'networkDelete']
] as const

/** An event of the audit trail (`AuditEvent`), and who caused it. */
interface RecordedEvent {
  readonly kind: string
  readonly network: string
  readonly acceptedAt: number
  readonly sender?: string
  readonly recipient?: string
  readonly digest?: string
  readonly entries?: number
  readonly bytes?: number
  readonly by?: string | undefined
}

/** Keeps those of the events that are an administrator's. In the transaction of what they speak of. */
export async function insertAdminEvents(sql: AnySql, events: readonly RecordedEvent[]): Promise<void> {
  const rows = events.flatMap(rowOf)
  if (rows.length > 0) await sql`insert into admin_event ${sql(rows)}`
}

function rowOf(event: RecordedEvent): Omit<AdminEvent, 'id'>[] {
  const { kind, acceptedAt: at, network, sender = null, recipient = null, digest, bytes = null, by = null } = event
  const row = { at, token: by, network, peer: sender, sender: null, entries: event.entries ?? null, bytes }
  if (kind === 'purge') return [{ ...row, action: 'purge', peer: recipient, sender }]
  if (kind === 'administration') return [{ ...row, action: digest ?? '' }]
  return kind === 'identity-release' ? [{ ...row, action: 'identityRelease' }] : []
}

export interface EventFilter {
  readonly network?: string | undefined
  readonly peer?: string | undefined
  readonly token?: string | undefined
  readonly action?: string | undefined
}

/** The events before one of them, newest first: at most `limit`. */
export async function listAdminEvents(
  sql: Sql,
  { network, peer, token, action }: EventFilter,
  before: number | undefined,
  limit: number
): Promise<AdminEvent[]> {
  const all = sql`true`
  return sql<AdminEvent[]>`
    select id, at, token, action, network, peer, sender, entries, bytes from admin_event
    where ${before === undefined ? all : sql`id < ${before}`}
      and ${network === undefined ? all : sql`network = ${network}`} and ${peer === undefined ? all : sql`peer = ${peer}`}
      and ${token === undefined ? all : sql`token = ${token}`} and ${action === undefined ? all : sql`action = ${action}`}
    order by id desc limit ${limit}`
}

/** Deletes all but the newest `keep` events. */
export async function trimAdminEvents(sql: Sql, keep: number): Promise<void> {
  await sql`delete from admin_event where id <= (select max(id) from admin_event) - ${keep}`
}
