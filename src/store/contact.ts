import type { AnySql, Sql } from '../database/database.ts'

/** A message went from one peer to another. */
export interface Pair {
  readonly network: string
  readonly sender: string
  readonly recipient: string
}

export const pairKey = ({ network, sender, recipient }: Pair) => `${network} ${sender} ${recipient}`

/** Notes who has written to whom, and that it was today. */
export async function noteContacts(sql: Sql, pairs: readonly Pair[]): Promise<void> {
  const { networks, senders, recipients } = columns(pairs)
  // In one order, so that two relays cannot wait for each other.
  await sql`
    insert into contact (network, sender, recipient)
    select distinct n, s, r from unnest(${networks}::text[], ${senders}::text[], ${recipients}::text[]) as p (n, s, r)
    order by n, r, s
    on conflict (network, recipient, sender) do update set used_on = current_date where contact.used_on < current_date`
}

/**
 * Which of these messages are from senders that their recipient does not know: it never wrote to them, and they did not
 * write to it before a day ago.
 */
export async function strangers(sql: AnySql, messages: readonly Pair[]): Promise<(message: Pair) => boolean> {
  if (messages.length === 0) return () => false
  const { networks, senders, recipients } = columns(messages)
  // `limit 1`: each pair is looked up by itself, however large Postgres takes the table for.
  const rows = await sql<Pair[]>`
    select distinct n as network, s as sender, r as recipient
    from unnest(${networks}::text[], ${senders}::text[], ${recipients}::text[]) as p (n, s, r)
      left join lateral (
        select true as found from contact where network = n and recipient = s and sender = r limit 1) as answered on true
      left join lateral (
        select true as found from contact
        where network = n and recipient = r and sender = s and since < now() - interval '1 day' limit 1) as old on true
    where answered.found is null and old.found is null`
  const found = new Set(rows.map(pairKey))
  return (message) => found.has(pairKey(message))
}

/** What a sender has in the mailbox of a recipient. */
export interface Held {
  readonly messages: number
  readonly bytes: number
}

/** What each of these senders has waiting for its recipient, in their order. Each mailbox is read once, whole. */
export async function heldBy(sql: AnySql, pairs: readonly Pair[]): Promise<Held[]> {
  if (pairs.length === 0) return []
  const { networks, senders, recipients } = columns(pairs)
  const rows = await sql<(Pair & Held)[]>`
    select box.network, box.recipient, held.sender, held.messages, held.bytes
    from (
      select n as network, r as recipient, array_agg(s) as senders
      from unnest(${networks}::text[], ${senders}::text[], ${recipients}::text[]) as p (n, s, r) group by n, r) as box
      cross join lateral (
        select sender, count(*) as messages, sum(size_bytes)::bigint as bytes
        from queue_entry where queue_entry.network = box.network and queue_entry.recipient = box.recipient
          and sender = any(box.senders) group by sender) as held`
  const found = new Map(rows.map((row) => [pairKey(row), row]))
  return pairs.map((pair) => found.get(pairKey(pair)) ?? { messages: 0, bytes: 0 })
}

/** Deletes up to `limit` contacts that were not used since a time (ms since 1970); returns how many. */
export async function forgetContacts(sql: Sql, before: number, limit: number): Promise<number> {
  const gone = await sql`
    delete from contact where (network, recipient, sender) in (
      select network, recipient, sender from contact where used_on < to_timestamp(${before / 1_000})::date order by used_on
      limit ${limit})`
  return gone.count
}

const columns = (pairs: readonly Pair[]) => ({
  networks: pairs.map(({ network }) => network),
  senders: pairs.map(({ sender }) => sender),
  recipients: pairs.map(({ recipient }) => recipient)
})
