import type { TransactionSql } from '../database/database.ts'

export type QuotaRole = 'sender' | 'recipient'

/** What one peer has waiting in one network, in one role. */
export interface Quota {
  readonly network: string
  readonly peer: string
  readonly role: QuotaRole
  entries: number
  bytes: number
}

/** One entry that takes or gives back a slot. */
export interface SlotUse {
  readonly network: string
  readonly sender: string
  readonly recipient: string
  readonly bytes: number
}

export const quotaKey = (network: string, peer: string, role: QuotaRole) => `${role} ${network} ${peer}`

/** The quota rows these uses touch, each once, with the sum of what they take. */
export function quotasOf(uses: readonly SlotUse[]): Quota[] {
  const sums = new Map<string, Quota>()
  const add = (network: string, peer: string, role: QuotaRole, bytes: number) => {
    const key = quotaKey(network, peer, role)
    const sum = sums.get(key)
    if (sum === undefined) sums.set(key, { network, peer, role, entries: 1, bytes })
    else {
      sum.entries += 1
      sum.bytes += bytes
    }
  }
  for (const use of uses) {
    add(use.network, use.sender, 'sender', use.bytes)
    add(use.network, use.recipient, 'recipient', use.bytes)
  }
  return [...sums.values()]
}

/**
 * Locks the quota rows of these uses until the transaction ends, creating them where needed, and returns what they hold.
 * Always locked in one order, so two transactions cannot wait for each other.
 */
export async function lockQuotas(tx: TransactionSql, uses: readonly SlotUse[]): Promise<Map<string, Quota>> {
  const wanted = columns(quotasOf(uses))
  const [, rows] = await Promise.all([
    tx`
      insert into quota (network, peer, role)
      select * from unnest(${wanted.networks}::text[], ${wanted.peers}::text[], ${wanted.roles}::text[]) as w (n, p, r)
      order by n, p, r on conflict do nothing`,
    tx<Quota[]>`
      select network, peer, role, entries, bytes from quota
      where (network, peer, role) in
        (select * from unnest(${wanted.networks}::text[], ${wanted.peers}::text[], ${wanted.roles}::text[]))
      order by network, peer, role for update`
  ])
  return new Map(rows.map((row) => [quotaKey(row.network, row.peer, row.role), row]))
}

/** Adds (sign 1) or gives back (sign -1) the slots of these uses. The caller holds the rows' locks. */
export async function adjustQuotas(tx: TransactionSql, uses: readonly SlotUse[], sign: 1 | -1): Promise<void> {
  const sums = quotasOf(uses)
  const { networks, peers, roles } = columns(sums)
  await tx`
    update quota set entries = quota.entries + sum.entries, bytes = quota.bytes + sum.bytes
    from unnest(${networks}::text[], ${peers}::text[], ${roles}::text[],
      ${sums.map((s) => s.entries * sign)}::int[], ${sums.map((s) => s.bytes * sign)}::bigint[])
      as sum (network, peer, role, entries, bytes)
    where quota.network = sum.network and quota.peer = sum.peer and quota.role = sum.role`
}

/** Gives back the slots of entries that this transaction deleted. */
export async function releaseSlots(tx: TransactionSql, uses: readonly SlotUse[]): Promise<void> {
  if (uses.length === 0) return
  await lockQuotas(tx, uses)
  await adjustQuotas(tx, uses, -1)
}

function columns(quotas: readonly Quota[]) {
  return {
    networks: quotas.map((q) => q.network),
    peers: quotas.map((q) => q.peer),
    roles: quotas.map((q) => q.role as string)
  }
}
