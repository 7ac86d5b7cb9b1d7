// Places of the whole cluster, as administrators see them.
import type { Sql, TransactionSql } from '../database/database.ts'
import type { PeerName } from './session-place.ts'

/** A relay at which a peer has sessions. */
export interface ShownPlace extends PeerName {
  /** Id of the relay. */
  readonly relay: string
  readonly relayName: string
  readonly sessions: number
}

export interface PlaceFilter {
  readonly network?: string | undefined
  /** Only peers whose names begin so, whatever the case of their letters; in lower case. */
  readonly search?: string | undefined
  /** Only peers with sessions at this relay: its name or id. */
  readonly relay?: string | undefined
}

/**
 * Places in the order of their peers' names: those of the first `limit` peers after one. Rejects with `query_canceled`
 * after `ms`.
 */
export async function listPlaces(
  sql: Sql,
  filter: PlaceFilter,
  after: PeerName | undefined,
  { limit, isDescending, ms }: { limit: number; isDescending: boolean; ms: number }
): Promise<ShownPlace[]> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const [beyond, direction] = isDescending ? [tx`<`, tx`desc`] : [tx`>`, tx`asc`]
    const isAfter = after && tx`(s.network, s.peer) ${beyond} (${after.network}, ${after.peer})`
    return tx<ShownPlace[]>`
      with page as (
        select distinct s.network, s.peer from session as s join relay on relay.id = s.relay
        where ${isPlace(tx)} and ${fits(tx, filter)} and ${isAfter ?? tx`true`}
        order by s.network ${direction}, s.peer ${direction} limit ${limit}
      )
      select s.network, s.peer, s.relay::text, relay.name as "relayName", s.sessions
      from page join session as s using (network, peer) join relay on relay.id = s.relay
      where ${isPlace(tx)}
      order by s.network ${direction}, s.peer ${direction}, relay.name, s.relay`
  }) as Promise<ShownPlace[]>
}

/** How many peers fit. Rejects with `query_canceled` after `ms`. */
export async function countPeers(sql: Sql, filter: PlaceFilter, ms: number): Promise<number> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const [row] = await tx<{ count: number }[]>`
      select count(*) from (
        select distinct s.network, s.peer from session as s join relay on relay.id = s.relay
        where ${isPlace(tx)} and ${fits(tx, filter)}) as peer`
    return row!.count
  }) as Promise<number>
}

/** The places of one peer. */
export async function placesOfPeer(sql: Sql, { network, peer }: PeerName): Promise<ShownPlace[]> {
  return sql<ShownPlace[]>`
    select s.network, s.peer, s.relay::text, relay.name as "relayName", s.sessions
    from session as s join relay on relay.id = s.relay
    where ${isPlace(sql)} and s.network = ${network} and s.peer = ${peer}
    order by relay.name, s.relay`
}

/** Peers and sessions of a relay. */
export interface RelayCounts {
  readonly relay: string
  readonly signaling: number
  readonly l2ps: number
  readonly sessions: number
}

/** How many peers each relay has in each protocol; of one that has none there is no row. */
export async function countPlaces(sql: Sql): Promise<RelayCounts[]> {
  return sql<RelayCounts[]>`
    select relay::text, count(*) filter (where network = 'signaling') as signaling,
      count(*) filter (where network <> 'signaling') as l2ps, sum(sessions)::bigint as sessions
    from session where left_at is null group by relay`
}

/** The peer has not left, and the lease of its relay holds. */
const isPlace = (sql: Sql | TransactionSql) => sql`s.left_at is null and relay.lease_until > now()`

const fits = (sql: Sql | TransactionSql, { network, search, relay }: PlaceFilter) => sql`
  ${relay === undefined ? sql`true` : sql`${relay} in (relay.name, relay.id::text)`} and
  ${network === undefined ? sql`true` : sql`s.network = ${network}`}
  and ${search === undefined ? sql`true` : sql`starts_with(lower(s.peer), ${search})`}`
