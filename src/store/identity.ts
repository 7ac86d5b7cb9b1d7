import type { ProofAlgorithm } from '../proof/algorithms.ts'
import type { AnySql, Sql } from './database.ts'

/** The keys pinned to a peer's name. */
export interface Identity {
  readonly encryptionKey: Uint8Array
  /** Names the encryption key: the first 32 hex digits of its SHA-256. */
  readonly keyId: string
}

export interface Claim extends Identity {
  readonly network: string
  readonly peer: string
  readonly algorithm: ProofAlgorithm
  readonly signingKey: Uint8Array
}

/** What became of a claim. `rekeyed`: the owner came with another encryption key, which is now the one handed out. */
export type ClaimOutcome = 'created' | 'confirmed' | 'rekeyed' | 'taken'

export async function findIdentity(sql: Sql, network: string, peer: string): Promise<Identity | undefined> {
  const [row] = await sql<Identity[]>`
    select encryption_key as "encryptionKey", key_id as "keyId"
    from identity where network = ${network} and peer = ${peer}`
  return row
}

/** Does this peer belong to another signing key, and not to nobody? Cheap: taken names are refused before anything else. */
export async function ownedByOther(sql: Sql, claim: Claim, idleDays: number): Promise<boolean> {
  const [row] = await sql`
    select from identity
    where network = ${claim.network} and peer = ${claim.peer} and ${isOther(sql, claim)} and not ${isAbandoned(sql, idleDays)}`
  return row !== undefined
}

/**
 * Pins the claimant's keys to the name, in one transaction: the first signing key owns it, until it has been idle for
 * `idleDays` with an empty mailbox (protocol.md section 11). The caller has checked the proof.
 */
export async function claimIdentity(sql: Sql, claim: Claim, idleDays: number): Promise<ClaimOutcome> {
  return sql.begin(async (tx) => {
    const created = await tx`
      insert into identity (network, peer, algorithm, signing_key, encryption_key, key_id)
      values (${claim.network}, ${claim.peer}, ${claim.algorithm}, ${claim.signingKey}, ${claim.encryptionKey}, ${claim.keyId})
      on conflict do nothing`
    let outcome: ClaimOutcome = 'created'
    if (created.count === 0) {
      const [held] = await tx`
        select ${isOther(tx, claim)} as other, ${isAbandoned(tx, idleDays)} as abandoned, key_id as "keyId"
        from identity where network = ${claim.network} and peer = ${claim.peer} for update`
      if (held?.other && !held.abandoned) return 'taken'
      if (!held?.other) outcome = held?.keyId === claim.keyId ? 'confirmed' : 'rekeyed'
      await tx`
        update identity set last_seen_at = now(), algorithm = ${claim.algorithm}, signing_key = ${claim.signingKey},
          encryption_key = ${claim.encryptionKey}, key_id = ${claim.keyId}
        where network = ${claim.network} and peer = ${claim.peer}`
    }
    if (outcome !== 'confirmed') {
      await tx`
        insert into identity_key (network, peer, key_id, encryption_key)
        values (${claim.network}, ${claim.peer}, ${claim.keyId}, ${claim.encryptionKey})`
    }
    return outcome
  }) as Promise<ClaimOutcome>
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
  (last_seen_at < now() - make_interval(days => ${idleDays}) and not exists (
    select from queue_entry where network = identity.network and recipient = identity.peer))`

/** Notes that a key registered in a network: a peer that is its key needs no more identity than that. */
export async function noteKey(
  sql: Sql,
  owner: { network: string; peer: string; algorithm: ProofAlgorithm; signingKey: Uint8Array }
): Promise<void> {
  await sql`
    insert into identity (network, peer, algorithm, signing_key)
    values (${owner.network}, ${owner.peer}, ${owner.algorithm}, ${owner.signingKey})
    on conflict (network, peer) do update set last_seen_at = now()`
}

/** The signing keys pinned to these peers; a peer that never registered is missing. */
export async function signingKeysOf(
  sql: Sql,
  network: string,
  peers: readonly string[]
): Promise<{ peer: string; signingKey: Uint8Array }[]> {
  return sql<{ peer: string; signingKey: Uint8Array }[]>`
    select peer, signing_key as "signingKey" from identity where network = ${network} and peer = any(${peers}::text[])`
}
