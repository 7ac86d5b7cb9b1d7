import type { Sql } from '../database/database.ts'

/** What one relay did in a minute, and how it was at its end. Durations in ms. */
export interface MinuteRow {
  readonly accepted: number
  readonly delivered: number
  readonly refused: number
  readonly expired: number
  /** Of received frames. */
  readonly bytes: number
  /** Frames answered with an error, by its code. */
  readonly rejected: Readonly<Record<string, number>>
  readonly sessions: number
  readonly peers: number
  readonly waiting: number
  readonly waitingBytes: number
  readonly lagP99: number
  readonly acceptP50: number | null
  readonly acceptP99: number | null
  readonly deliveryP50: number | null
  readonly deliveryP99: number | null
}

/** Writes the row of a minute (minutes since 1970); one that is there is replaced. */
export async function writeMinute(sql: Sql, minute: number, relay: string, row: MinuteRow): Promise<void> {
  const { waitingBytes, lagP99, acceptP50, acceptP99, deliveryP50, deliveryP99, rejected, ...same } = row
  const columns = {
    ...{ minute, relay, ...same, rejected: sql.json(rejected), waiting_bytes: waitingBytes, lag_p99: lagP99 },
    ...{ accept_p50: acceptP50, accept_p99: acceptP99, delivery_p50: deliveryP50, delivery_p99: deliveryP99 }
  }
  await sql`
    insert into stats_minute ${sql(columns)}
    on conflict (minute, relay) do update set ${sql(columns)}`
}

/** Deletes the minutes before one of them. */
export async function trimMinutes(sql: Sql, before: number): Promise<void> {
  await sql`delete from stats_minute where minute < ${before}`
}

/** Several minutes together: sums of what was done, means of what was there, the worst of durations. */
export interface HistoryRow extends Omit<MinuteRow, 'rejected'> {
  /** The first minute, since 1970. */
  readonly minute: number
  /** How many minutes there are rows of. */
  readonly minutes: number
}

/** All relays together, `step` minutes in a row, from a minute on. */
export async function readHistory(sql: Sql, from: number, step: number): Promise<HistoryRow[]> {
  return sql<HistoryRow[]>`
    with together as (
      select minute, sum(accepted) as accepted, sum(delivered) as delivered, sum(refused) as refused,
        sum(expired) as expired, sum(bytes) as bytes, sum(sessions) as sessions, sum(peers) as peers,
        max(waiting) as waiting, max(waiting_bytes) as waiting_bytes, max(lag_p99) as lag_p99,
        max(accept_p50) as accept_p50, max(accept_p99) as accept_p99,
        max(delivery_p50) as delivery_p50, max(delivery_p99) as delivery_p99
      from stats_minute where minute >= ${from} group by minute
    )
    select minute / ${step} * ${step} as minute, count(*)::float8 as minutes,
      sum(accepted)::float8 as accepted, sum(delivered)::float8 as delivered, sum(refused)::float8 as refused,
      sum(expired)::float8 as expired, sum(bytes)::float8 as bytes, avg(sessions)::float8 as sessions,
      avg(peers)::float8 as peers, avg(waiting)::float8 as waiting, avg(waiting_bytes)::float8 as "waitingBytes",
      max(lag_p99)::float8 as "lagP99", max(accept_p50)::float8 as "acceptP50", max(accept_p99)::float8 as "acceptP99",
      max(delivery_p50)::float8 as "deliveryP50", max(delivery_p99)::float8 as "deliveryP99"
    from together group by 1 order by 1`
}

/** Frames answered with an error, by code: those of `readHistory`. */
export async function readRejected(sql: Sql, from: number, step: number) {
  return sql<{ minute: number; code: string; count: number }[]>`
    select minute / ${step} * ${step} as minute, code.key as code, sum(code.value::bigint)::float8 as count
    from stats_minute, jsonb_each_text(rejected) as code (key, value)
    where minute >= ${from} group by 1, 2 order by 1, 2`
}
