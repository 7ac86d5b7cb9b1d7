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
 * Takes the slots of these uses, and returns what each quota holds with them. Its rows stay locked until the transaction
 * ends, always in one order, so two transactions cannot wait for each other.
 */
export async function takeSlots(tx: TransactionSql, uses: readonly SlotUse[]): Promise<Map<string, Quota>> {
  if (uses.length === 0) return new Map()
  const { networks, peers, roles, entries, bytes } = columns(quotasOf(uses))
  const rows = await tx<Quota[]>`
    insert into quota (network, peer, role, entries, bytes)
    select * from unnest(
      ${networks}::text[], ${peers}::text[], ${roles}::text[], ${entries}::int[], ${bytes}::bigint[])
      as use (network, peer, role, entries, bytes)
    order by network collate "C", peer collate "C", role collate "C"
    on conflict (network, peer, role)
      do update set entries = quota.entries + excluded.entries, bytes = quota.bytes + excluded.bytes
    returning network, peer, role, entries, bytes`
  return new Map(rows.map((row) => [quotaKey(row.network, row.peer, row.role), row]))
}

/** Gives back the slots of entries that this transaction deleted, or did not store. Locks rows in the order of `takeSlots`. */
export async function releaseSlots(tx: TransactionSql, uses: readonly SlotUse[]): Promise<void> {
  if (uses.length === 0) return
  const { networks, peers, roles, entries, bytes } = columns(quotasOf(uses))
  await Promise.all([
    tx`
      select from quota
      where (network, peer, role) in (select * from unnest(${networks}::text[], ${peers}::text[], ${roles}::text[]))
      order by network, peer, role for update`,
    tx`
      update quota set entries = quota.entries - use.entries, bytes = quota.bytes - use.bytes
      from unnest(
        ${networks}::text[], ${peers}::text[], ${roles}::text[], ${entries}::int[], ${bytes}::bigint[])
        as use (network, peer, role, entries, bytes)
      where quota.network = use.network and quota.peer = use.peer and quota.role = use.role`
  ])
}

function columns(quotas: readonly Quota[]) {
  return {
    networks: quotas.map((q) => q.network),
    peers: quotas.map((q) => q.peer),
    roles: quotas.map((q) => q.role as string),
    entries: quotas.map((q) => q.entries),
    bytes: quotas.map((q) => q.bytes)
  }
}
