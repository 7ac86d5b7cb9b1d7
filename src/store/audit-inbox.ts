import { randomBytes } from 'node:crypto'
import type { AdministrationAction } from '../audit/record.ts'
import { ANCHORS, BYTEA } from './audit-log.ts'
import type { AnySql, TransactionSql } from './database.ts'

interface Fact {
  readonly network: string
  /** ms since 1970. */
  readonly acceptedAt: number
}

/** A message was accepted. */
export interface MessageEvent extends Fact {
  readonly kind: 'message'
  readonly sender: string
  readonly recipient: string
  /** messageHash (L2PS), or the SHA-256 of the body in hex (signaling): up to 512 characters. */
  readonly digest: string
  /** Length of the body. */
  readonly bytes: number
  /** message.seq, where history shows what became of the message. */
  readonly messageSeq?: number
}

/** What is worth a record. Each is written in the transaction of what it speaks of. */
export type AuditEvent =
  | MessageEvent
  /** A peer registered another encryption key, named by its digest. */
  | (Fact & { readonly kind: 'key-change'; readonly sender: string; readonly digest: string })
  /** An administrator released a peer's name. */
  | (Fact & { readonly kind: 'identity-release'; readonly sender: string })
  /** An administrator deleted waiting messages: of a mailbox, or of one sender in it. */
  | (Fact & {
      readonly kind: 'purge'
      readonly recipient: string
      readonly sender?: string
      readonly entries: number
      readonly bytes: number
    })
  /** An administrator did something else, named by `digest`: to the peer `sender`, or to the network. */
  | (Fact & {
      readonly kind: 'administration'
      readonly digest: AdministrationAction
      readonly sender?: string
      readonly entries?: number
    })
  /** A checkpoint of the log of `sender` (its network), size in `bytes`, root in `digest`, origin in `recipient`. */
  | (Fact & {
      readonly kind: 'checkpoint'
      readonly sender: string
      readonly recipient: string
      readonly digest: string
      readonly bytes: number
    })
  /** A signed tree of `bytes` records and root `digest` is lost. */
  | (Fact & { readonly kind: 'restore'; readonly digest: string; readonly bytes: number })

export type AuditKind = AuditEvent['kind']

/** An event as the sequencer takes it out. */
export interface InboxEvent {
  readonly network: string
  readonly kind: AuditKind
  readonly acceptedAt: number
  readonly sender: string | null
  readonly recipient: string | null
  readonly digest: string | null
  readonly bytes: number | null
  readonly entries: number | null
  readonly messageSeq: number | null
  /** 16 random bytes in hex. */
  readonly salt: string
}

/** How an event lies in `audit_inbox.events`: a list, short and quick to read. */
type Packed = [
  kind: AuditKind,
  acceptedAt: number,
  sender: string | null,
  recipient: string | null,
  digest: string | null,
  bytes: number | null,
  entries: number | null,
  messageSeq: number | null
]

const SALT_BYTES = 16
/** Longest id or digest, in characters; peers' are shorter. Keeps every record within the 65,535 bytes of an entry. */
const MAX_TEXT = 2_048
/** The log of checkpoints belongs to the node: no peer writes into it. */
const NODES_OWN: ReadonlySet<AuditKind> = new Set(['checkpoint', 'restore'])

/** Hands events to the sequencer, in the order given, in the transaction of `sql`: one row for each network. */
export async function insertAuditEvents(sql: AnySql, events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  const networks = new Map<string, Packed[]>()
  for (const event of events) {
    const known = networks.get(event.network)
    if (known === undefined) networks.set(event.network, [pack(event)])
    else known.push(pack(event))
  }
  const rows = Array.from(networks, ([network, packed]) => ({ network, packed }))
  const salts = rows.map(({ packed }) => randomBytes(SALT_BYTES * packed.length))
  await sql`
    insert into audit_inbox (network, count, events, salts)
    select * from unnest(${rows.map(({ network }) => network)}::text[], ${rows.map(({ packed }) => packed.length)}::int[],
      ${rows.map(({ packed }) => JSON.stringify(packed))}::text[], ${sql.array(salts, BYTEA)}::bytea[])`
}

/**
 * A CTE that records messages in the statement that stores them: what was a repeat is in no `stored`, and in no record.
 * `stored`: a relation with one row a message and the columns network, seq, sender, recipient, digest, size_bytes,
 * accepted_at, message_seq (null: not in history). `most`: how many rows it can have.
 */
export const recordStored = (sql: AnySql, stored: string, most: number) => sql`
  insert into audit_inbox (network, count, events, salts)
  select network, count(*),
    '[' || string_agg(json_build_array('message', accepted_at, sender, recipient, digest, size_bytes, null, message_seq)::text,
      ',' order by seq) || ']',
    substring(${randomBytes(SALT_BYTES * most)}::bytea
      from (sum(count(*)) over (order by network) - count(*))::int * 16 + 1 for count(*)::int * 16)
  from ${sql(stored)}
  group by network`

/**
 * Takes the oldest events out, in the order of their acceptance, passing over some networks: about `limit`, at least
 * those of one row. What they become must be written in the same transaction.
 */
export async function takeAuditEvents(
  tx: TransactionSql,
  limit: number,
  except: readonly string[]
): Promise<InboxEvent[]> {
  const rows = await tx<{ network: string; events: string; salts: string }[]>`
    with taken as (
      delete from audit_inbox where seq = any(array(
        select seq from (
          select seq, sum(count) over (order by seq) - count as before from (
            select seq, count from audit_inbox where network <> all(${except as string[]}::text[])
            order by seq limit ${limit}) as head) as sized
        where before < ${limit}))
      returning seq, network, events, salts
    )
    select network, events, encode(salts, 'hex') as salts from taken order by seq`
  return rows.flatMap(({ network, events, salts }) => unpack(network, events, salts))
}

/** The checkpoints that wait to be recorded in the log of checkpoints. */
export function readWaiting(network: string, events: string): InboxEvent[] {
  return unpack(network, events, '')
}

function pack(event: AuditEvent): Packed {
  const { kind, acceptedAt, sender, recipient, digest, bytes, entries, messageSeq } = event as Partial<InboxEvent> &
    AuditEvent
  const isTooLong = [sender, recipient, digest].some((text) => typeof text === 'string' && text.length > MAX_TEXT)
  if (isTooLong) throw new RangeError('an id in an audit event is too long')
  if (event.network === ANCHORS && !NODES_OWN.has(kind)) throw new RangeError(`no network may be called ${ANCHORS}`)
  return [
    kind,
    acceptedAt,
    sender ?? null,
    recipient ?? null,
    digest ?? null,
    bytes ?? null,
    entries ?? null,
    messageSeq ?? null
  ]
}

function unpack(network: string, events: string, salts: string): InboxEvent[] {
  const packed = JSON.parse(events) as Packed[]
  return packed.map(([kind, acceptedAt, sender, recipient, digest, bytes, entries, messageSeq], place) => {
    const salt = salts.slice(place * 2 * SALT_BYTES, (place + 1) * 2 * SALT_BYTES)
    return { network, kind, acceptedAt, sender, recipient, digest, bytes, entries, messageSeq, salt }
  })
}
