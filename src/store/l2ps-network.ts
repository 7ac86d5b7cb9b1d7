import type { Sql } from '../database/database.ts'

/** A network of the database. */
export interface StoredNetwork {
  readonly uid: string
  readonly name: string | undefined
  readonly description: string | undefined
  /** False: no peer can join, and a peer is told that the network does not exist. */
  readonly enabled: boolean
  /** Addresses of the peers that may join (see PeerKey); undefined: any key may join, empty: none may. */
  readonly members: ReadonlySet<string> | undefined
  /** Whether everybody may read its audit records. */
  readonly auditPublic: boolean
}

export interface NetworkRows {
  /** Grows with every change of l2ps_network and l2ps_member. */
  readonly revision: number
  readonly networks: StoredNetwork[]
}

interface Row {
  revision: number
  uid: string | null
  name: string | null
  description: string | null
  enabled: boolean
  auditPublic: boolean
  members: string[] | null
}

/** Every network in the database, or undefined when nothing changed since the revision that is known. One query. */
export async function readNetworks(sql: Sql, known: number | undefined): Promise<NetworkRows | undefined> {
  const rows = await sql<Row[]>`
    select revision.number as revision, network.uid, network.name, network.description, network.enabled,
      network.audit_public as "auditPublic",
      case when network.members_only then
        array(select peer from l2ps_member where l2ps_member.uid = network.uid) end as members
    from l2ps_revision as revision left join l2ps_network as network on true
    where revision.number is distinct from ${known ?? null}::bigint`
  const [first] = rows
  if (first === undefined) return undefined
  return {
    revision: first.revision,
    networks: rows.flatMap((row) => (row.uid === null ? [] : [networkOf(row, row.uid)]))
  }
}

function networkOf(row: Row, uid: string): StoredNetwork {
  return {
    uid,
    name: row.name ?? undefined,
    description: row.description ?? undefined,
    enabled: row.enabled,
    auditPublic: row.auditPublic,
    members: row.members === null ? undefined : new Set(row.members)
  }
}

/**
 * Notes the first start of a server on this database. When it is the first, `wanted`, and no network is there yet,
 * makes one, open to any key; true when it did. One statement, so it happens once however many servers start.
 */
export async function makeFirstNetwork(
  sql: Sql,
  network: { uid: string; name: string; description: string },
  wanted: boolean
): Promise<boolean> {
  const made = await sql`
    with first_start as (
      insert into l2ps_first_start default values on conflict do nothing returning at)
    insert into l2ps_network (uid, name, description)
    select ${network.uid}, ${network.name}, ${network.description} from first_start
    where ${wanted}::boolean and not exists (select from l2ps_network)
    on conflict do nothing`
  return made.count > 0
}
