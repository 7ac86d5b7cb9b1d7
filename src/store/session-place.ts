import type { Sql, TransactionSql } from '../database/database.ts'
import { numberColumn, textColumns } from './rows.ts'

/** Of whom. */
export interface PeerName {
  readonly network: string
  readonly peer: string
}

/** Where a peer is: at a relay whose lease holds. */
export interface Place extends PeerName {
  /** Id of the relay. */
  readonly relay: string
  /** Grows with every registration of the peer there; who holds an older one has lost the place. */
  readonly epoch: number
  /** The encryption key it registered with; null: the protocol has none. */
  readonly keyId: string | null
  readonly sessions: number
}

/** A peer that takes a place at a relay, or keeps it. */
export interface Entry extends PeerName {
  readonly keyId: string | null
  /** Its sessions at this relay, with the one that enters. */
  readonly sessions: number
}

/** Sessions that have ended. */
export interface Exit extends PeerName {
  readonly epoch: number
  /** Those that are left at this relay; 0: the place is given up. */
  readonly sessions: number
  /** The last one broke off: place of the last message that it may owe a receipt of. Undefined: it owes nothing. */
  readonly owedSeq: number | undefined
}

const names = <T extends PeerName>(rows: readonly T[]) =>
  textColumns(rows, { network: (row) => row.network, peer: (row) => row.peer })

const isAlive = (sql: Sql | TransactionSql) =>
  sql`exists (select from relay where relay.id = s.relay and relay.lease_until > now())`

/**
 * Enters peers at a relay: each gets its place with a new epoch, unless it is a client id that another relay holds.
 * Places of relays whose lease has run out, and those that were left, give way. Returns all places of these peers, and
 * the peers that were at another relay a moment ago. Names are taken in one order by all relays.
 */
export async function enterPlaces(
  sql: Sql,
  relay: string,
  entries: readonly Entry[]
): Promise<{ places: Place[]; moved: PeerName[] }> {
  const sorted = [...entries].sort((a, b) => compare(a.network, b.network) || compare(a.peer, b.peer))
  const { separator, network, peer } = names(sorted)
  const { keyId } = textColumns(sorted, { keyId: (entry) => entry.keyId ?? '' })
  const sessions = numberColumn(sorted, (entry) => entry.sessions)
  return sql.begin(async (tx) => {
    const given = tx`
      rows from (string_to_table(${network}, ${separator}), string_to_table(${peer}, ${separator}),
        string_to_table(${keyId}, ${separator}), unnest(${sessions}::text::bigint[]))
        as e (network, peer, key_id, sessions)`
    // Statements of their own, in one round trip: each sees what others committed while the one before it waited.
    const [moved, , , places] = await Promise.all([
      tx<(PeerName & { isElsewhere: boolean })[]>`
        delete from session as s using ${given}
        where s.network = e.network and s.peer = e.peer
          and (s.left_at is not null or (s.relay <> ${relay}::uuid and not ${isAlive(tx)}))
        returning s.network, s.peer, s.relay <> ${relay}::uuid as "isElsewhere"`,
      tx`
        insert into session (network, peer, relay, key_id, sessions)
        select network, peer, ${relay}::uuid, nullif(key_id, ''), sessions from ${given} on conflict do nothing`,
      tx`
        update session as s set epoch = nextval('session_epoch'), key_id = nullif(e.key_id, ''), sessions = e.sessions,
          left_at = null, owed_seq = null
        from ${given} where s.network = e.network and s.peer = e.peer and s.relay = ${relay}::uuid`,
      tx<Place[]>`
        select s.network, s.peer, s.relay::text, s.epoch, s.key_id as "keyId", s.sessions
        from ${given} join session as s on s.network = e.network and s.peer = e.peer where s.left_at is null`
    ])
    return { places: [...places], moved: moved.filter(({ isElsewhere }) => isElsewhere) }
  }) as Promise<{ places: Place[]; moved: PeerName[] }>
}

/**
 * Notes sessions that ended, where the relay still has the epoch. For each, in their order: is the peer away now, in the
 * whole cluster?
 */
export async function leavePlaces(sql: Sql, relay: string, exits: readonly Exit[]): Promise<boolean[]> {
  const { separator, network, peer } = names(exits)
  const given = (tx: TransactionSql) => tx`
    rows from (string_to_table(${network}, ${separator}), string_to_table(${peer}, ${separator}),
      unnest(${numberColumn(exits, ({ epoch }) => epoch)}::text::bigint[]),
      unnest(${numberColumn(exits, ({ sessions }) => sessions)}::text::bigint[]),
      unnest(${numberColumn(exits, ({ owedSeq }) => owedSeq ?? -1)}::text::bigint[]))
      with ordinality as e (network, peer, epoch, sessions, owed_seq, place)`
  return sql.begin(async (tx) => {
    const [, , left] = await Promise.all([
      // Of two relays that give up the last places of a peer at once, the second one has to see that the first one did.
      tx`
        select from session as s
        where (s.network, s.peer) in (select e.network, e.peer from ${given(tx)})
        order by s.network, s.peer, s.relay for update`,
      tx`
        update session as s set sessions = e.sessions,
          left_at = case when e.sessions = 0 then now() end, owed_seq = nullif(e.owed_seq, -1)
        from ${given(tx)}
        where s.network = e.network and s.peer = e.peer and s.relay = ${relay}::uuid and s.epoch = e.epoch`,
      tx<{ isAway: boolean }[]>`
        select not exists (
          select from session as s
          where s.network = e.network and s.peer = e.peer and s.left_at is null and ${isAlive(tx)}) as "isAway"
        from ${given(tx)} order by e.place`
    ])
    return left.map(({ isAway }) => isAway)
  }) as Promise<boolean[]>
}

/** Frees a place whose relay does not answer, unless the peer has registered there again meanwhile. */
export async function expelPlace(sql: Sql, { network, peer, relay, epoch }: Omit<Place, 'keyId' | 'sessions'>) {
  await sql`
    delete from session
    where network = ${network} and peer = ${peer} and relay = ${relay}::uuid and epoch = ${epoch}`
}

/** Where these peers are. */
export async function findPlaces(sql: Sql, peers: readonly PeerName[]): Promise<Place[]> {
  const { separator, network, peer } = names(peers)
  return sql<Place[]>`
    select s.network, s.peer, s.relay::text, s.epoch, s.key_id as "keyId", s.sessions
    from rows from (string_to_table(${network}, ${separator}), string_to_table(${peer}, ${separator}))
      as p (network, peer)
      join session as s on s.network = p.network and s.peer = p.peer
      join relay on relay.id = s.relay and relay.lease_until > now()
    where s.left_at is null`
}

/** What waits for these peers, in their order: only of those that have a place, others have their quotas. */
export async function waitingFor(sql: Sql, peers: readonly PeerName[]): Promise<{ entries: number; bytes: number }[]> {
  const { separator, network, peer } = names(peers)
  return sql<{ entries: number; bytes: number }[]>`
    select waiting.entries, waiting.bytes
    from rows from (string_to_table(${network}, ${separator}), string_to_table(${peer}, ${separator}))
      with ordinality as p (network, peer, place)
      cross join lateral (
        select count(*) as entries, coalesce(sum(size_bytes), 0)::bigint as bytes
        from queue_entry where queue_entry.network = p.network and queue_entry.recipient = p.peer) as waiting
    order by p.place`
}

/** The peers of a relay for whom something waits. */
export async function placesWithMail(sql: Sql, relay: string): Promise<PeerName[]> {
  return sql<PeerName[]>`
    select s.network, s.peer from session as s
    where s.relay = ${relay}::uuid and s.left_at is null and exists (
      select from queue_entry where queue_entry.network = s.network and queue_entry.recipient = s.peer)`
}

/** The places of a relay. */
export async function placesOf(sql: Sql, relay: string): Promise<(PeerName & { epoch: number })[]> {
  return sql<(PeerName & { epoch: number })[]>`
    select network, peer, epoch from session where relay = ${relay}::uuid and left_at is null`
}

/** Relays that have places and no lease. Steps from one relay to the next by the index. */
export async function deadRelays(sql: Sql): Promise<string[]> {
  const rows = await sql<{ relay: string }[]>`
    with recursive holder as (
      (select relay from session order by relay limit 1)
      union all
      select next.relay from holder cross join lateral (
        select relay from session where session.relay > holder.relay order by relay limit 1) as next
    )
    select holder.relay::text from holder
    where not exists (select from relay where relay.id = holder.relay and relay.lease_until > now())`
  return rows.map(({ relay }) => relay)
}

/** Frees up to `limit` places of a relay that is dead; returns its peers that have no other place now. */
export async function freePlaces(sql: Sql, relay: string, limit: number): Promise<{ freed: number; away: PeerName[] }> {
  const rows = await sql<(PeerName & { isAway: boolean })[]>`
    with gone as (
      delete from session where (network, peer, relay) in (
        select network, peer, relay from session
        where relay = ${relay}::uuid and not exists (
          select from relay as r where r.id = ${relay}::uuid and r.lease_until > now())
        order by network, peer limit ${limit} for update skip locked)
      returning network, peer
    )
    select gone.network, gone.peer, not exists (
      select from session as s join relay on relay.id = s.relay and relay.lease_until > now()
      where s.network = gone.network and s.peer = gone.peer and s.relay <> ${relay}::uuid and s.left_at is null) as "isAway"
    from gone`
  return { freed: rows.length, away: rows.filter(({ isAway }) => isAway) }
}

/** Forgets places that peers left longer than `movedMs` ago, or `returnMs` where something is kept for their return. */
export async function forgetLeft(sql: Sql, movedMs: number, returnMs: number): Promise<void> {
  await sql`
    delete from session
    where left_at < now() - make_interval(secs => ${movedMs / 1_000})
      and (owed_seq is null or left_at < now() - make_interval(secs => ${returnMs / 1_000}))`
}

/**
 * Connected peers of a network in the order of their names (by bytes of UTF-8): those after a name whose names begin with a
 * prefix, at most `limit`.
 */
export async function peersIn(
  sql: Sql,
  network: string,
  { after = '', prefix = '', limit }: { after?: string | undefined; prefix?: string | undefined; limit: number }
): Promise<string[]> {
  const from = compare(prefix, after) > 0 ? prefix : after
  const rows = await sql<{ peer: string }[]>`
    select distinct s.peer from session as s
      join relay on relay.id = s.relay and relay.lease_until > now()
    where s.network = ${network} and s.left_at is null
      and s.peer >= ${from} and s.peer <> ${after} and starts_with(s.peer, ${prefix})
    order by s.peer limit ${limit}`
  return rows.map(({ peer }) => peer)
}

const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
