import type postgres from 'postgres'

/**
 * What a drained database still holds that it should not, in words: mailbox entries, quota counters that differ from the
 * entries they count; and what it should hold and does not: acknowledged messages (by hash) in history, once each.
 * `recipients`: of this run. What a relay that was cut off had asked for may be stored when an earlier run is over.
 */
export async function unreleased(
  sql: postgres.Sql,
  hashes: readonly string[],
  recipients: readonly string[]
): Promise<string[]> {
  const entries = await sql<{ network: string; waiting: number }[]>`
    select network, count(*)::int as waiting from queue_entry
    where recipient = any(${recipients as string[]}::text[]) group by network`
  const quotas = await wrongQuotas(sql)
  const missing = await sql<{ hash: string; copies: number }[]>`
    select hash, count(message.seq)::int as copies from unnest(${[...new Set(hashes)]}::text[]) as hash
      left join message on message_hash = hash
    group by hash having count(message.seq) <> 1`
  return [
    ...entries.map(({ network, waiting }) => `${waiting} entries still wait in ${network}`),
    ...quotas,
    ...missing.map(({ hash, copies }) => `${hash} is ${copies} times in history`)
  ]
}

/** Quota counters that are not exactly what the entries with a slot add up to. */
export async function wrongQuotas(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ name: string; counted: string; held: string }[]>`
    with held as (
      select network, sender as peer, 'sender' as role, count(*) as entries, sum(size_bytes) as bytes
      from queue_entry where slot group by network, sender
      union all
      select network, recipient, 'recipient', count(*), sum(size_bytes)
      from queue_entry where slot group by network, recipient
    )
    select concat_ws(' ', role, network, peer) as name,
      concat(coalesce(quota.entries, 0), ' with ', coalesce(quota.bytes, 0), ' bytes') as counted,
      concat(coalesce(held.entries, 0), ' with ', coalesce(held.bytes, 0), ' bytes') as held
    from quota full join held using (network, peer, role)
    where coalesce(quota.entries, 0) <> coalesce(held.entries, 0) or coalesce(quota.bytes, 0) <> coalesce(held.bytes, 0)`
  return rows.map(({ name, counted, held }) => `quota of ${name}: counted ${counted}, held ${held}`)
}

/** Sessions that clients have in this cluster, the one that looks included. */
export async function countSessions(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ sessions: number }[]>`
    select count(*)::int as sessions from pg_stat_activity where backend_type = 'client backend'`
  return row!.sessions
}
