import type { AnySql, Sql } from '../database/database.ts'
import type { ProofAlgorithm } from '../protocol/peer-key.ts'
import { insertAuditEvents } from './audit-inbox.ts'
import { namesFrom } from './mailbox-overview.ts'
import { judgeMalformedAgain } from './queue-entry.ts'
import { numberColumn, textColumns } from './rows.ts'

/** The keys pinned to a peer's name. */
export interface Identity {
  readonly encryptionKey: Uint8Array
  /** Names the encryption key: the first 32 hex digits of its SHA-256. */
  readonly keyId: string
  /** Since when the name has been another's than its first owner's, ms since 1970. */
  readonly ownerChangedAt?: number | undefined
}

export interface Claim extends Identity {
  readonly network: string
  readonly peer: string
  readonly algorithm: ProofAlgorithm
  readonly signingKey: Uint8Array
  /** Its proof answers a challenge: from now on the name is registered with one only. */
  readonly isChallenged: boolean
}

export type Name = Pick<Claim, 'network' | 'peer'>

/** Encryption keys that are kept of a name, the newest; the audit log has the changes of all. */
const KEPT_KEYS = 100

/**
 * What became of a claim. `rekeyed`: the owner came with another encryption key, which is now the one handed out.
 * `challenge`: the name is the claimant's, but is registered with a challenge only, and the claim has none.
 */
export type ClaimOutcome = 'created' | 'confirmed' | 'rekeyed' | 'taken' | 'challenge'

/** The identities of these names, in their order; undefined for one that never registered. */
export async function findIdentities(sql: Sql, names: readonly Name[]): Promise<(Identity | undefined)[]> {
  const rows = await sql<(Identity & { place: number; ownerChangedAt: number | null })[]>`
    select place, encryption_key as "encryptionKey", key_id as "keyId",
      (extract(epoch from owner_changed_at) * 1000)::bigint as "ownerChangedAt"
    from ${placed(sql, names)} join identity using (network, peer)`
  return inPlaces(names, rows, ({ encryptionKey, keyId, ownerChangedAt }) => ({
    encryptionKey,
    keyId,
    ownerChangedAt: ownerChangedAt ?? undefined
  }))
}

/** The signing keys pinned to these names, in their order; undefined for one that never registered. */
export async function findSigningKeys(sql: Sql, names: readonly Name[]): Promise<(Uint8Array | undefined)[]> {
  const rows = await sql<{ place: number; signingKey: Uint8Array }[]>`
    select place, signing_key as "signingKey" from ${placed(sql, names)} join identity using (network, peer)`
  return inPlaces(names, rows, ({ signingKey }) => signingKey)
}

const placed = (sql: Sql, names: readonly Name[]) => sql`
  unnest(${names.map(({ network }) => network)}::text[], ${names.map(({ peer }) => peer)}::text[])
    with ordinality as name (network, peer, place)`

/** What was found of each name, in their order; `place` counts from 1. */
function inPlaces<Row extends { place: number }, R>(names: readonly Name[], rows: readonly Row[], of: (row: Row) => R) {
  const found = new Map(rows.map((row) => [row.place - 1, of(row)]))
  return names.map((_, index) => found.get(index))
}

/**
 * Who owns a name, seen by a claimant; an abandoned one is nobody's. `heir`: another, since the claimant left it idle for too
 * long. `challenge`: as in `ClaimOutcome`.
 */
export type NameOwner = 'nobody' | 'claimant' | 'other' | 'heir' | 'challenge'

/** Whose these names are, for each claim in the order given, all in one statement. */
export async function ownersOf(sql: Sql, claims: readonly Claim[], idleDays: number): Promise<NameOwner[]> {
  const rows = await sql<
    { place: number; other: boolean; abandoned: boolean; challenged: boolean; wasOwner: boolean }[]
  >`
    select place, (algorithm, signing_key) <> (claimed_by, decode(claim_key, 'hex')) as other,
      ${isAbandoned(sql, idleDays)} as abandoned, challenged,
      former_key is not distinct from decode(claim_key, 'hex') as "wasOwner"
    from unnest(${claims.map((c) => c.network)}::text[], ${claims.map((c) => c.peer)}::text[],
      ${claims.map((c) => c.algorithm)}::text[], ${claims.map((c) => hex(c.signingKey))}::text[])
      with ordinality as claim (claim_network, claim_peer, claimed_by, claim_key, place)
      join identity on (network, peer) = (claim_network, claim_peer)`
  const found = inPlaces(claims, rows, (row) => row)
  return claims.map(({ isChallenged }, index) => {
    const row = found[index]
    if (row === undefined) return 'nobody'
    if (!row.other) return row.challenged && !isChallenged ? 'challenge' : 'claimant'
    if (row.abandoned) return 'nobody'
    return row.wasOwner ? 'heir' : 'other'
  })
}

/**
 * Handles the common claims: a peer that comes back with the same keys, or a new name. `other`: the name is known under
 * other keys, or registers with a challenge only, see `changeOwnerOrKey`. For claims of different names, all in one statement.
 */
export async function confirmOrCreate(
  sql: Sql,
  claims: readonly Claim[]
): Promise<('confirmed' | 'created' | 'other')[]> {
  // Sorted in the same order by all servers, so that two of them cannot deadlock. As arrays, because Postgres expects
  // those to be short and reads each name by the index; of other row sources it expects 1,000 rows and reads the table.
  const sorted = [...claims].sort(byName)
  const settled = await sql<{ network: string; peer: string; confirmed: boolean }[]>`
    with claim as (
      select network, peer, algorithm, decode(signing_key, 'hex') as signing_key,
        decode(encryption_key, 'hex') as encryption_key, key_id, challenged
      from unnest(${sorted.map((c) => c.network)}::text[], ${sorted.map((c) => c.peer)}::text[],
        ${sorted.map((c) => c.algorithm)}::text[], ${sorted.map((c) => hex(c.signingKey))}::text[],
        ${sorted.map((c) => hex(c.encryptionKey))}::text[], ${sorted.map((c) => c.keyId)}::text[],
        ${sorted.map((c) => String(c.isChallenged))}::text[]::boolean[])
        as c (network, peer, algorithm, signing_key, encryption_key, key_id, challenged)
    ), confirmed as (
      update identity set last_seen_at = now(), challenged = claim.challenged from claim
      where (identity.network, identity.peer) = (claim.network, claim.peer)
        and (identity.algorithm, identity.signing_key, identity.key_id) = (claim.algorithm, claim.signing_key, claim.key_id)
        and (claim.challenged or not identity.challenged)
      returning identity.network, identity.peer
    ), created as (
      insert into identity (network, peer, algorithm, signing_key, encryption_key, key_id, challenged)
      select * from claim where (network, peer) not in (select network, peer from confirmed)
      on conflict do nothing
      returning network, peer, key_id, encryption_key
    ), keyed as (
      insert into identity_key (network, peer, key_id, encryption_key) select * from created
    )
    select network, peer, true as confirmed from confirmed union all select network, peer, false from created`
  const outcomes = new Map(settled.map(({ network, peer, confirmed }) => [nameOf(network, peer), confirmed]))
  return claims.map(({ network, peer }) => {
    const confirmed = outcomes.get(nameOf(network, peer))
    return confirmed === undefined ? 'other' : confirmed ? 'confirmed' : 'created'
  })
}

const nameOf = (network: string, peer: string) => JSON.stringify([network, peer])
const byName = (a: Name, b: Name) => (nameOf(a.network, a.peer) < nameOf(b.network, b.peer) ? -1 : 1)
const hex = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')

/**
 * Claims a name that `confirmOrCreate` did not settle, in one transaction: its first signing key owns it, until it has been
 * idle for `idleDays` with an empty mailbox (docs/protocol.md, 2.8), and once it was registered with a challenge, it is with
 * one only (2.9). Another encryption key for a name that was known before is an audit event.
 */
export async function changeOwnerOrKey(sql: Sql, claim: Claim, idleDays: number, now: number): Promise<ClaimOutcome> {
  const { network, peer, algorithm, signingKey, encryptionKey, keyId, isChallenged } = claim
  return sql.begin(async (tx) => {
    const [held] = await tx`
      select ${isOther(tx, claim)} as other, ${isAbandoned(tx, idleDays)} as abandoned, key_id as "keyId", challenged,
        signing_key as "signingKey"
      from identity where network = ${network} and peer = ${peer} for update`
    if (held?.other && !held.abandoned) return 'taken'
    if (held?.other === false && held.challenged && !isChallenged) return 'challenge'
    if (held !== undefined && !held.other && held.keyId === keyId) {
      // By a claim at the same time, which may have had no challenge.
      await tx`update identity set challenged = ${isChallenged} where network = ${network} and peer = ${peer}`
      return 'confirmed'
    }
    await tx`
      insert into identity (network, peer, algorithm, signing_key, encryption_key, key_id, challenged)
      values (${network}, ${peer}, ${algorithm}, ${signingKey}, ${encryptionKey}, ${keyId}, ${isChallenged})
      on conflict (network, peer) do update set last_seen_at = now(), algorithm = excluded.algorithm,
        signing_key = excluded.signing_key, encryption_key = excluded.encryption_key, key_id = excluded.key_id,
        challenged = excluded.challenged`
    if (held?.other) {
      await tx`
        update identity set former_key = ${held.signingKey}, owner_changed_at = now()
        where network = ${network} and peer = ${peer}`
    }
    if (held !== undefined) {
      await judgeMalformedAgain(tx, { network, recipient: peer })
      await insertAuditEvents(tx, [{ kind: 'key-change', network, sender: peer, digest: keyId, acceptedAt: now }])
    }
    await tx`
      insert into identity_key (network, peer, key_id, encryption_key)
      values (${network}, ${peer}, ${keyId}, ${encryptionKey})`
    await tx`
      delete from identity_key where network = ${network} and peer = ${peer} and registered_at < (
        select registered_at from identity_key where network = ${network} and peer = ${peer}
        order by registered_at desc offset ${KEPT_KEYS - 1} limit 1)`
    return held === undefined || held.other ? 'created' : 'rekeyed'
  }) as Promise<ClaimOutcome>
}

/**
 * Deletes up to `limit` identities that were never used, and returns them: registered between these times (ms since 1970),
 * gone within the hour, and no message went from or to them. Contacts must have been noted, and not be forgotten yet.
 */
export async function deleteUnused(
  sql: Sql,
  { before, after }: { readonly before: number; readonly after: number },
  limit: number
): Promise<{ readonly network: string; readonly peer: string }[]> {
  return sql<{ network: string; peer: string }[]>`
    with unused as materialized (
      select network, peer from identity
      where registered_at > (select applied_at from schema_migration where name like '%contact.sql')
        and registered_at > to_timestamp(${after / 1_000}) and registered_at < to_timestamp(${before / 1_000})
        and last_seen_at < registered_at + interval '1 hour'
        and not exists (
          select from contact where contact.network = identity.network and contact.recipient = identity.peer)
        and not exists (
          select from contact where contact.network = identity.network and contact.sender = identity.peer)
      limit ${limit} for update skip locked
    ), keys as (
      delete from identity_key where (network, peer) in (select network, peer from unused)
    )
    delete from identity where (network, peer) in (select network, peer from unused) returning network, peer`
}

/** Notes that these peers are in use, so that their names do not count as idle. */
export async function touchIdentities(sql: Sql, peers: readonly { network: string; peer: string }[]): Promise<void> {
  await sql`
    update identity set last_seen_at = now()
    from unnest(${peers.map((p) => p.network)}::text[], ${peers.map((p) => p.peer)}::text[]) as seen (network, peer)
    where identity.network = seen.network and identity.peer = seen.peer`
}

const isOther = (sql: AnySql, claim: Claim) =>
  sql`(algorithm, signing_key) <> (${claim.algorithm}, ${claim.signingKey}::bytea)`

const isAbandoned = (sql: AnySql, idleDays: number) => sql`
  (${idleDays} > 0 and last_seen_at < now() - make_interval(days => ${idleDays}) and not exists (
    select from queue_entry where network = identity.network and recipient = identity.peer))`

/** A key that enters a network: a peer that is its key needs no more identity than that. */
export interface KeyEntry {
  readonly network: string
  readonly peer: string
  readonly algorithm: ProofAlgorithm
  readonly signingKey: Uint8Array
  /** SHA-256 of the proof it comes with, and when that is too old to be shown again (ms since 1970). */
  readonly proof: { readonly digest: Uint8Array; readonly expiresAt: number }
}

/**
 * Notes keys that enter their networks, and that their proofs were shown, all in one statement. False, and nothing noted,
 * for a proof that was shown before: also to another server, and among these.
 */
export async function enterKeys(sql: Sql, entries: readonly KeyEntry[]): Promise<boolean[]> {
  const first = new Map(entries.toReversed().map((entry) => [hex(entry.proof.digest), entry]))
  const sorted = [...first.values()].sort(byName)
  const { separator, ...text } = textColumns(sorted, {
    network: (e) => e.network,
    peer: (e) => e.peer,
    algorithm: (e) => e.algorithm,
    signingKey: (e) => hex(e.signingKey),
    digest: (e) => hex(e.proof.digest)
  })
  const used = await sql<{ digest: string }[]>`
    with entry as (
      select network, peer, algorithm, decode(signing_key, 'hex') as signing_key, decode(digest, 'hex') as digest, expires_at
      from rows from (
        string_to_table(${text.network}, ${separator}), string_to_table(${text.peer}, ${separator}),
        string_to_table(${text.algorithm}, ${separator}), string_to_table(${text.signingKey}, ${separator}),
        string_to_table(${text.digest}, ${separator}),
        unnest(${numberColumn(sorted, (e) => e.proof.expiresAt)}::text::bigint[]))
        as e (network, peer, algorithm, signing_key, digest, expires_at)
    ), used as (
      insert into used_proof (digest, expires_at) select digest, expires_at from entry on conflict do nothing
      returning digest
    ), noted as (
      insert into identity (network, peer, algorithm, signing_key)
      select distinct on (network, peer) network, peer, algorithm, signing_key from entry natural join used
      on conflict (network, peer) do update set last_seen_at = now()
    )
    select encode(digest, 'hex') as digest from used`
  const digests = new Set(used.map(({ digest }) => digest))
  return entries.map((entry) => {
    const digest = hex(entry.proof.digest)
    return digests.has(digest) && first.get(digest) === entry
  })
}

/** Deletes up to `limit` proofs that are too old to be shown again; returns how many. */
export async function sweepProofs(sql: Sql, now: number, limit: number): Promise<number> {
  const gone = await sql`
    delete from used_proof where digest = any(array(
      select digest from used_proof where expires_at < ${now} order by expires_at limit ${limit}))`
  return gone.count
}

/** A line of the list of identities. */
export interface IdentityLine {
  readonly network: string
  readonly peer: string
  readonly algorithm: ProofAlgorithm
  readonly keyId: string | null
  readonly registeredAt: Date
  readonly lastSeenAt: Date
  /** Microseconds since 1970: what it is sorted by. */
  readonly since: number
}

export interface IdentityFilter {
  readonly network: string | undefined
  /** In lower case; see namesFrom(). */
  readonly search: string | undefined
}

const fits = (sql: AnySql, { network, search }: IdentityFilter) => sql`
  ${network === undefined ? sql`true` : sql`network = ${network}`} and ${namesFrom(sql, sql`peer`, search)}`

/**
 * Identities after a place, by name or by the time they registered: at most `limit`. Found by a search, they are in the order
 * of their names in lower case, as the index that finds them has them.
 */
export async function listIdentities(
  sql: Sql,
  filter: IdentityFilter,
  { key, isDescending }: { key: 'name' | 'since'; isDescending: boolean },
  after: { value: string | number; network: string; peer: string } | undefined,
  { limit, ms }: { limit: number; ms: number }
): Promise<IdentityLine[]> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const [beyond, direction] = isDescending ? [tx`<`, tx`desc`] : [tx`>`, tx`asc`]
    const { value = 0, network = '', peer = '' } = after ?? {}
    const since = tx`timestamptz 'epoch' + ${Number(value)} * interval '1 microsecond'`
    const first = key === 'since' ? 'registered_at' : filter.search === undefined ? 'network' : 'lower'
    const { column, place } = {
      registered_at: { column: tx`registered_at`, place: since },
      network: { column: tx`network`, place: tx`${network}` },
      lower: { column: tx`lower(peer)`, place: tx`lower(${peer} collate "C")` }
    }[first]
    const isAfter = tx`(${column}, network, peer) ${beyond} (${place}, ${network}, ${peer})`
    return tx<IdentityLine[]>`
      select network, peer, algorithm, key_id as "keyId", registered_at as "registeredAt", last_seen_at as "lastSeenAt",
        (extract(epoch from registered_at) * 1000000)::bigint as since
      from identity
      where ${fits(tx, filter)} and ${after === undefined ? tx`true` : isAfter}
      order by ${column} ${direction}, network ${direction}, peer ${direction} limit ${limit}`
  }) as Promise<IdentityLine[]>
}

/** How many identities fit. Rejects with `query_canceled` after `ms`. */
export async function countIdentities(sql: Sql, filter: IdentityFilter, ms: number): Promise<number> {
  return sql.begin(async (tx) => {
    await tx`select set_config('statement_timeout', ${String(ms)}, true)`
    const [row] = await tx<{ count: number }[]>`select count(*) from identity where ${fits(tx, filter)}`
    return row!.count
  }) as Promise<number>
}

/** Everything kept about a name's owner. */
export interface IdentityFacts {
  readonly algorithm: ProofAlgorithm
  readonly signingKey: Uint8Array
  readonly keyId: string | null
  readonly registeredAt: Date
  readonly lastSeenAt: Date
  /** It registers with a challenge only. */
  readonly challenged: boolean
  /** The encryption keys it registered, oldest first: at most the last 100. */
  readonly keys: readonly { readonly keyId: string; readonly registeredAt: Date }[]
}

export async function readIdentity(sql: Sql, network: string, peer: string): Promise<IdentityFacts | undefined> {
  const [row] = await sql<Omit<IdentityFacts, 'keys'>[]>`
    select algorithm, signing_key as "signingKey", key_id as "keyId", registered_at as "registeredAt",
      last_seen_at as "lastSeenAt", challenged
    from identity where network = ${network} and peer = ${peer}`
  if (row === undefined) return undefined
  const keys = await sql<{ keyId: string; registeredAt: Date }[]>`
    select key_id as "keyId", registered_at as "registeredAt" from identity_key
    where network = ${network} and peer = ${peer} order by registered_at, key_id limit 1000`
  return { ...row, keys }
}

/**
 * Releases a name: the next peer that registers it owns it. Refused while messages wait for it (`waiting`): they are
 * for the present owner. The release and its audit record are one transaction.
 */
export async function releaseIdentity(
  sql: Sql,
  network: string,
  peer: string,
  now: number,
  by?: string
): Promise<'released' | 'unknown' | 'waiting'> {
  return sql.begin(async (tx) => {
    const [held] = await tx<{ waiting: boolean }[]>`
      select exists (select from queue_entry where network = ${network} and recipient = ${peer}) as waiting
      from identity where network = ${network} and peer = ${peer} for update`
    if (held === undefined) return 'unknown'
    if (held.waiting) return 'waiting'
    await tx`delete from identity_key where network = ${network} and peer = ${peer}`
    await tx`delete from identity where network = ${network} and peer = ${peer}`
    await insertAuditEvents(tx, [{ kind: 'identity-release', network, sender: peer, acceptedAt: now, by }])
    return 'released'
  }) as Promise<'released' | 'unknown' | 'waiting'>
}
