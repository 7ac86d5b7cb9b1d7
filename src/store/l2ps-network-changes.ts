import type { Sql, TransactionSql } from '../database/database.ts'
import { type AdministrationAction, insertAuditEvents } from './audit-inbox.ts'

/** What an administrator may set about a network. */
export interface NetworkSettings {
  readonly name: string | null
  readonly description: string | null
  readonly enabled: boolean
  readonly membersOnly: boolean
  readonly auditPublic: boolean
}

/** What is known of a network only in the database. */
export interface NetworkDates {
  readonly uid: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly membersOnly: boolean
  readonly members: number
}

export async function readNetworkDates(sql: Sql, uids: readonly string[]): Promise<NetworkDates[]> {
  return sql<NetworkDates[]>`
    select uid, created_at as "createdAt", updated_at as "updatedAt", members_only as "membersOnly",
      (select count(*) from l2ps_member as member where member.uid = network.uid) as members
    from l2ps_network as network where uid = any(${uids as string[]}::text[])`
}

/** Makes a network; false when there is one of that uid. */
export async function createNetwork(
  sql: Sql,
  uid: string,
  settings: NetworkSettings,
  now: number,
  by?: string
): Promise<boolean> {
  const { name, description, enabled, membersOnly, auditPublic } = settings
  return change(sql, { network: uid, digest: 'networkCreate', now, by }, async (tx) => {
    const made = await tx`
      insert into l2ps_network (uid, name, description, enabled, members_only, audit_public)
      values (${uid}, ${name}, ${description}, ${enabled}, ${membersOnly}, ${auditPublic})
      on conflict do nothing`
    return made.count > 0
  })
}

/** Changes what is given; false when it was so already. `missing`: there is no such network in the database. */
export async function changeNetwork(
  sql: Sql,
  uid: string,
  changes: Partial<NetworkSettings>,
  now: number,
  by?: string
): Promise<boolean | 'missing'> {
  const columns = {
    ...{ name: changes.name, description: changes.description, enabled: changes.enabled },
    ...{ members_only: changes.membersOnly, audit_public: changes.auditPublic }
  }
  const given = Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined))
  let isThere = false
  const isChanged = await change(sql, { network: uid, digest: 'networkChange', now, by }, async (tx) => {
    const [before] = await tx`
      select name, description, enabled, members_only, audit_public from l2ps_network where uid = ${uid} for update`
    isThere = before !== undefined
    if (before === undefined || Object.entries(given).every(([column, value]) => before[column] === value)) return false
    await tx`update l2ps_network set ${tx(given)}, updated_at = now() where uid = ${uid}`
    return true
  })
  return isThere ? isChanged : 'missing'
}

/** Deletes a network with its members; `waiting`: not while messages wait in it, unless `evenIfWaiting`. */
export async function deleteNetwork(
  sql: Sql,
  uid: string,
  evenIfWaiting: boolean,
  now: number,
  by?: string
): Promise<'deleted' | 'missing' | 'waiting'> {
  let outcome: 'deleted' | 'missing' | 'waiting' = 'missing'
  await change(sql, { network: uid, digest: 'networkDelete', now, by }, async (tx) => {
    const [held] = await tx<{ waiting: boolean }[]>`
      select exists (select from queue_entry where network = ${uid}) as waiting
      from l2ps_network where uid = ${uid} for update`
    if (held === undefined) return false
    outcome = held.waiting && !evenIfWaiting ? 'waiting' : 'deleted'
    if (outcome === 'deleted') await tx`delete from l2ps_network where uid = ${uid}`
    return outcome === 'deleted'
  })
  return outcome
}

/** Lists a peer as a member; false when it was one. The first member closes the network to everybody else. */
export async function addMember(
  sql: Sql,
  uid: string,
  peer: string,
  now: number,
  by?: string
): Promise<boolean | 'missing'> {
  let isThere = false
  const isAdded = await change(sql, { network: uid, digest: 'memberAdd', sender: peer, now, by }, async (tx) => {
    isThere = (await tx`select from l2ps_network where uid = ${uid} for update`).count > 0
    if (!isThere) return false
    return (await tx`insert into l2ps_member (uid, peer) values (${uid}, ${peer}) on conflict do nothing`).count > 0
  })
  return isThere ? isAdded : 'missing'
}

/** Takes a peer off the list; false when it was not on it. */
export async function removeMember(sql: Sql, uid: string, peer: string, now: number, by?: string): Promise<boolean> {
  return change(sql, { network: uid, digest: 'memberRemove', sender: peer, now, by }, async (tx) => {
    return (await tx`delete from l2ps_member where uid = ${uid} and peer = ${peer}`).count > 0
  })
}

/** The members after one of them, in order: at most `limit`. */
export async function listMembers(sql: Sql, uid: string, after: string, limit: number): Promise<string[]> {
  const rows = await sql<{ peer: string }[]>`
    select peer from l2ps_member where uid = ${uid} and peer > ${after} order by peer limit ${limit}`
  return rows.map(({ peer }) => peer)
}

/** One transaction: the change, and the record of it when there was one. */
function change(
  sql: Sql,
  what: { network: string; digest: AdministrationAction; sender?: string; now: number; by: string | undefined },
  work: (tx: TransactionSql) => Promise<boolean>
): Promise<boolean> {
  const { now: acceptedAt, ...event } = what
  return sql.begin(async (tx) => {
    const isDone = await work(tx)
    if (isDone) await insertAuditEvents(tx, [{ kind: 'administration', ...event, acceptedAt }])
    return isDone
  }) as Promise<boolean>
}
