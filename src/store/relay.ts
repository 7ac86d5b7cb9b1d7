import type { Sql } from '../database/database.ts'

/** A relay as the database knows it. */
export interface RelayRow {
  readonly id: string
  readonly cluster: string
  /** What people call it. */
  readonly name: string
  readonly version: string
  /** ms since 1970. */
  readonly startedAt: number
}

/** What a relay says of itself with every beat. */
export interface OwnRelay extends Omit<RelayRow, 'startedAt'> {
  /** Backend of the connection that listens for its notifications; null: it has none. */
  readonly listenerPid: number | null
}

/**
 * Renews the lease of a relay for `leaseMs`, by Postgres' clock. Returns the relays whose lease holds, whether the
 * database knew this one (it forgets all of them when it crashes), and the last place in a mailbox that was given away.
 */
export async function renewLease(
  sql: Sql,
  relay: OwnRelay,
  leaseMs: number
): Promise<{ wasKnown: boolean; alive: RelayRow[]; lastSeq: number }> {
  const rows = await sql<(RelayRow & { wasKnown: boolean; lastSeq: number })[]>`
    with own as (
      insert into relay (id, cluster, name, version, listener_pid, lease_until)
      values (${relay.id}::uuid, ${relay.cluster}, ${relay.name}, ${relay.version}, ${relay.listenerPid}::int,
        now() + make_interval(secs => ${leaseMs / 1_000}))
      on conflict (id) do update set lease_until = excluded.lease_until, listener_pid = excluded.listener_pid
      returning id, cluster, name, version, started_at, xmax <> 0 as known
    ), alive as (
      select id, cluster, name, version, started_at from own
      union all
      select id, cluster, name, version, started_at from relay where lease_until > now() and id <> ${relay.id}::uuid
    )
    select id::text, cluster, name, version, (extract(epoch from started_at) * 1000)::bigint as "startedAt",
      (select known from own) as "wasKnown",
      -- A sequence that has given nothing away has its first value as the last one, too.
      (select case when is_called then last_value else last_value - 1 end from entry_seq) as "lastSeq"
    from alive order by id`
  return {
    wasKnown: rows[0]?.wasKnown === true,
    lastSeq: rows[0]?.lastSeq ?? 0,
    alive: rows.map(({ id, cluster, name, version, startedAt }) => ({ id, cluster, name, version, startedAt }))
  }
}

/** The relays whose lease holds, and until when (ms since 1970, by Postgres' clock). */
export async function aliveRelays(sql: Sql): Promise<(RelayRow & { leaseUntil: number })[]> {
  return sql<(RelayRow & { leaseUntil: number })[]>`
    select id::text, cluster, name, version, (extract(epoch from started_at) * 1000)::bigint as "startedAt",
      (extract(epoch from lease_until) * 1000)::bigint as "leaseUntil"
    from relay where lease_until > now() order by id`
}

/** Ends the lease of a relay that stops, and of those whose time is over. */
export async function endLease(sql: Sql, relay: string): Promise<void> {
  await sql`delete from relay where id = ${relay}::uuid or lease_until < now() - interval '1 hour'`
}

/** Is the connection open on which this relay listens? */
export async function isListening(sql: Sql, relay: string): Promise<boolean> {
  const [row] = await sql`
    select from relay join pg_stat_activity as backend on backend.pid = relay.listener_pid where relay.id = ${relay}::uuid`
  return row !== undefined
}
