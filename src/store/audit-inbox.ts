import { randomBytes } from 'node:crypto'
import type { AnySql, TransactionSql } from '../database/database.ts'
import { insertAdminEvents } from './admin-event.ts'
import { ANCHORS } from './audit-log.ts'

/** What an administrator may do that has no kind of event of its own. */
export const ADMINISTRATION = [
  'memberAdd',
  'memberRemove',
  'networkChange',
  'networkCreate',
  'networkDelete',
  'requeue',
  'sessionClose'
] as const
export type AdministrationAction = (typeof ADMINISTRATION)[number]

interface Fact {
  readonly network: string
  /** ms since 1970. */
  readonly acceptedAt: number
}

/** Done by an administrator. */
interface Act extends Fact {
  /** The name of the token, for `admin_event`; it is no part of the record. */
  readonly by?: string | undefined
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
}

/** What is worth a record. Each is written in the same transaction as the fact itself. */
export type AuditEvent =
  | MessageEvent
  /** A peer registered another encryption key, named by its digest. */
  | (Fact & { readonly kind: 'key-change'; readonly sender: string; readonly digest: string })
  /** An administrator released a peer's name. */
  | (Act & { readonly kind: 'identity-release'; readonly sender: string })
  /** An administrator deleted waiting messages: of a mailbox, or of one sender in it. */
  | (Act & {
      readonly kind: 'purge'
      readonly recipient: string
      readonly sender?: string
      readonly entries: number
      readonly bytes: number
    })
  /** An administrator did something else, named by `digest`: to the peer `sender`, or to the network. */
  | (Act & {
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
  /**
   * An operator gave the log of `network` from the key `sender` (absent: not known) to the key `recipient`, both in hex.
   * `digest`: the signature of the new one, and behind a space that of the old one where it is there, both in hex.
   */
  | (Fact & { readonly kind: 'rekey'; readonly sender?: string; readonly recipient: string; readonly digest: string })
  /** A message was accepted, and is gone from the database before its record was made. */
  | (Fact & { readonly kind: 'message-lost' })
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
  /** message.seq, where history shows what became of the message; null where there is no history. */
  readonly messageSeq: number | null
  /** 16 random bytes in hex, made as the event is taken out. */
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
  entries: number | null
]

const SALT_BYTES = 16
/** Messages of one row, at most: a sequencer that gives way to messages takes no more at once. */
export const ROW_MESSAGES = 128
/** Longest id or digest, in characters; peers' are shorter. Keeps every record within the 65,535 bytes of an entry. */
const MAX_TEXT = 2_048
/** The log of checkpoints belongs to the node: no peer writes into it. */
const NODES_OWN: ReadonlySet<AuditKind> = new Set(['checkpoint', 'rekey', 'restore'])

/** Hands events to the sequencer, in the order given, in the transaction of `sql`: one row for each network. */
export async function insertAuditEvents(sql: AnySql, events: readonly AuditEvent[]): Promise<void> {
  const networks = new Map<string, Packed[]>()
  for (const event of events) {
    const known = networks.get(event.network)
    if (known === undefined) networks.set(event.network, [pack(event)])
    else known.push(pack(event))
  }
  const rows = Array.from(networks, ([network, packed]) => ({ network, packed }))
  if (rows.length === 0) return
  await sql`
    insert into audit_inbox (network, count, events)
    select * from unnest(${rows.map(({ network }) => network)}::text[], ${rows.map(({ packed }) => packed.length)}::int[],
      ${rows.map(({ packed }) => JSON.stringify(packed))}::text[])`
  await insertAdminEvents(sql, events)
}

/**
 * A CTE that hands messages to the sequencer in the statement that stores them: what makes up a record is there already,
 * in `given`, one row with the columns network, senders, recipients, sizes and accepted_at, but for the digests.
 */
export const recordGiven = (sql: AnySql, digests: string, separator: string) => sql`
  insert into audit_inbox (network, count, senders, recipients, digests, sizes, accepted_at)
  select network, least(cardinality(senders) - a + 1, ${ROW_MESSAGES}), senders[a:b], recipients[a:b], all_digests[a:b],
    sizes[a:b], accepted_at[a:b]
  from given, string_to_array(${digests}, ${separator}) as all_digests,
    generate_series(1, cardinality(senders), ${ROW_MESSAGES}) as a, lateral (select a + ${ROW_MESSAGES - 1}::int as b) as last`

/**
 * The same for messages that history keeps: the sequencer finds the rest in `message`. `stored`: a relation with their
 * seq, network, accepted_at and place (from 1), of so many rows; 0: any number. A message that was sent before is not in it,
 * and gets no second record.
 */
export const recordStored = (stored: string, rows: number): string =>
  rows === 1
    ? `
      insert into audit_inbox (network, count, message_seqs, accepted_at)
      select network, 1, array[seq], array[accepted_at] from ${stored}`
    : `
      insert into audit_inbox (network, count, message_seqs, accepted_at)
      select network, count(*), array_agg(seq order by seq), array_agg(accepted_at order by seq)
      from ${stored} group by network, (place - 1) / ${ROW_MESSAGES}
      order by network, min(seq)`

/**
 * Takes the oldest events out, in the order of their acceptance, passing over some networks: about `limit`, at least
 * those of one row. What they become must be written in the same transaction.
 */
export async function takeAuditEvents(
  tx: TransactionSql,
  limit: number,
  except: readonly string[]
): Promise<readonly InboxEvent[]> {
  const rows = await tx<InboxRow[]>`
    with taken as (
      delete from audit_inbox where seq = any(array(
        select seq from (
          select seq, sum(count) over (order by seq) - count as before from (
            select seq, count from audit_inbox where network <> all(${except as string[]}::text[])
            order by seq limit ${limit}) as head) as sized
        where before < ${limit}))
      returning *
    )
    select network, events, message_seqs as seqs, senders, recipients, digests, sizes, accepted_at as "acceptedAt"
    from taken order by seq`
  const kept = await readMessages(tx, rows)
  const events = rows.flatMap((row) => {
    if (row.events !== null) return unpack(row.network, row.events)
    return row.seqs === null ? givenEvents(row) : keptEvents(row, kept)
  })
  return salted(events)
}

/** A row of the inbox: events, messages given whole, or messages that history keeps. */
type InboxRow = { readonly network: string } & (PackedRow | GivenRow | KeptRow)
interface PackedRow {
  readonly events: string
}
interface GivenRow {
  readonly events: null
  readonly seqs: null
  readonly senders: readonly string[]
  readonly recipients: readonly string[]
  readonly digests: readonly string[]
  readonly sizes: readonly number[]
  readonly acceptedAt: readonly number[]
}
interface KeptRow {
  readonly events: null
  readonly seqs: readonly number[]
  readonly acceptedAt: readonly number[]
}

const givenEvents = (row: { network: string } & GivenRow): UnsaltedEvent[] =>
  row.senders.map((sender, place) => ({
    network: row.network,
    kind: 'message',
    acceptedAt: row.acceptedAt[place]!,
    sender,
    recipient: row.recipients[place]!,
    digest: row.digests[place]!,
    bytes: row.sizes[place]!,
    entries: null,
    messageSeq: null,
    salt: ''
  }))

const keptEvents = (row: { network: string } & KeptRow, kept: ReadonlyMap<number, KeptFacts>): UnsaltedEvent[] =>
  row.seqs.map((messageSeq, place) => {
    // None: somebody deleted it by hand. History keeps a message until it is recorded, see deleteOldMessages().
    const facts = kept.get(messageSeq)
    return {
      network: row.network,
      kind: facts === undefined ? 'message-lost' : 'message',
      acceptedAt: row.acceptedAt[place]!,
      sender: facts?.sender ?? null,
      recipient: facts?.recipient ?? null,
      digest: facts?.digest ?? null,
      bytes: facts?.bytes ?? null,
      entries: null,
      messageSeq: facts === undefined ? null : messageSeq,
      salt: ''
    }
  })

type KeptFacts = Pick<InboxEvent, 'sender' | 'recipient' | 'digest' | 'bytes'>

/** What history keeps of them. */
async function readMessages(tx: TransactionSql, rows: readonly InboxRow[]): Promise<Map<number, KeptFacts>> {
  const seqs = rows.flatMap((row) => (row.events === null && row.seqs) || [])
  if (seqs.length === 0) return new Map()
  const kept = await tx<(KeptFacts & { seq: number })[]>`
    select seq, sender, recipient, message_hash as digest, size_bytes as bytes
    from message where seq = any(${`{${seqs.join(',')}}`}::text::bigint[])`
  return new Map(kept.map((facts) => [facts.seq, facts]))
}

/** The checkpoints that wait to be recorded in the log of checkpoints. */
export function readWaiting(network: string, events: string): readonly InboxEvent[] {
  return salted(unpack(network, events))
}

function pack(event: AuditEvent): Packed {
  const { kind, acceptedAt, sender, recipient, digest, bytes, entries } = event as Partial<InboxEvent> & AuditEvent
  const isTooLong = [sender, recipient, digest].some((text) => typeof text === 'string' && text.length > MAX_TEXT)
  if (isTooLong) throw new RangeError('an id in an audit event is too long')
  if (event.network === ANCHORS && !NODES_OWN.has(kind)) throw new RangeError(`no network may be called ${ANCHORS}`)
  return [kind, acceptedAt, sender ?? null, recipient ?? null, digest ?? null, bytes ?? null, entries ?? null]
}

function unpack(network: string, events: string): UnsaltedEvent[] {
  const packed = JSON.parse(events) as Packed[]
  return packed.map(
    ([kind, acceptedAt, sender = null, recipient = null, digest = null, bytes = null, entries = null]) => ({
      network,
      kind,
      acceptedAt,
      sender,
      recipient,
      digest,
      bytes,
      entries,
      messageSeq: null,
      salt: ''
    })
  )
}

/** Its salt is made last, with those of many. */
type UnsaltedEvent = Omit<InboxEvent, 'salt'> & { salt: string }

function salted(events: readonly UnsaltedEvent[]): readonly InboxEvent[] {
  const salts = randomBytes(SALT_BYTES * events.length).toString('hex')
  const digits = 2 * SALT_BYTES
  // Set, not spread into a copy, and all fields written out above: a spread beside other fields costs V8 microseconds.
  for (const [place, event] of events.entries()) event.salt = salts.slice(place * digits, (place + 1) * digits)
  return events
}
