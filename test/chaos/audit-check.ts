import { createHash } from 'node:crypto'
import type postgres from 'postgres'
import { until } from '../helpers/wait.ts'
import { bodyOf, CHAOS_NETWORK } from './dialects.ts'
import type { PeerEvent } from './history.ts'
import type { Stage } from './stage.ts'

/** How long the sequencer may take for what waits when nothing is broken any more, in ms. */
const CATCH_UP_MS = 20_000

/** What peers saw of a message, as its audit record names it: in signaling the digest of the body, in L2PS its hash. */
export function digestsOf(events: readonly PeerEvent[], isL2ps: (id: string) => boolean): Map<string, string> {
  const seen = events.flatMap((event) =>
    event.kind === 'delivery' || (event.kind === 'answer' && event.outcome === 'acknowledged') ? [event.id] : []
  )
  return new Map([...new Set(seen)].map((id) => [isL2ps(id) ? id : digestOf(id), id]))
}

const digestOf = (id: string) =>
  createHash('sha256')
    .update(JSON.stringify({ id, body: bodyOf(id) }))
    .digest('hex')

/** Checkpoints keep coming. */
const isOfMessages = (sql: postgres.Sql) => sql`network <> 'anchors'`

/** What is wrong with the audit trail, in words: a message without a record, one with several, one that never got its place. */
export async function unrecorded(sql: postgres.Sql, digests: ReadonlyMap<string, string>): Promise<string[]> {
  const [left] = await sql`select coalesce(sum(count), 0)::int as waiting from audit_inbox where ${isOfMessages(sql)}`
  const records = await sql<{ digest: string; copies: number }[]>`
    select convert_from(entry, 'UTF8')::json ->> 'digest' as digest, count(*)::int as copies
    from audit_entry join audit_log on audit_log.id = log
    where network in ('signaling', ${CHAOS_NETWORK}) group by 1`
  const copies = new Map(records.map((record) => [record.digest, record.copies]))
  const missing = [...digests].filter(([digest]) => !copies.has(digest))
  const doubled = records.filter((record) => record.copies > 1)
  return [
    ...(left!.waiting === 0 ? [] : [`${left!.waiting} audit events have no place in a log`]),
    ...missing.map(([, id]) => `${id} left no audit record`),
    ...doubled.map((record) => `${digests.get(record.digest) ?? record.digest} left ${record.copies} audit records`)
  ]
}

/** Waits until every event has its place; that it does not is for unrecorded() to say. */
export async function sequenced(stage: Stage): Promise<void> {
  const isEmpty = () =>
    stage.look(async (sql) => {
      const [row] = await sql`select count(*)::int as rows from audit_inbox where ${isOfMessages(sql)}`
      return row!.rows === 0
    })
  await until('every event has its place', isEmpty, CATCH_UP_MS).catch(() => {})
}
