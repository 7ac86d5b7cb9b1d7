import { randomBytes } from 'node:crypto'
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
export interface InboxRow {
  readonly seq: number
  readonly kind: AuditKind
  readonly network: string
  readonly sender: string | null
  readonly recipient: string | null
  readonly digest: string | null
  readonly bytes: number | null
  readonly entries: number | null
  readonly acceptedAt: number
  readonly messageSeq: number | null
  /** 16 random bytes in hex. */
  readonly salt: string
}

const SALT_BYTES = 16

/** Hands events to the sequencer, in the order given, in the transaction of `sql`: one narrow row each. */
export async function insertAuditEvents(sql: AnySql, events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return
  const salts = randomBytes(SALT_BYTES * events.length)
  const column = <T>(read: (event: Partial<InboxRow>) => T) => events.map((event) => read(event) ?? null)
  await sql`
    insert into audit_inbox (accepted_at, message_seq, size_bytes, entries, kind, network, sender, recipient, digest, salt)
    select accepted_at, message_seq, size_bytes, entries, kind, network, sender, recipient, digest,
      substring(${salts}::bytea from (place * ${SALT_BYTES}::int - ${SALT_BYTES - 1}::int)::int for ${SALT_BYTES}::int)
    from unnest(
      ${column((e) => e.acceptedAt)}::bigint[], ${column((e) => e.messageSeq)}::bigint[],
      ${column((e) => e.bytes)}::bigint[], ${column((e) => e.entries)}::int[],
      ${column((e) => e.kind)}::text[], ${column((e) => e.network)}::text[], ${column((e) => e.sender)}::text[],
      ${column((e) => e.recipient)}::text[], ${column((e) => e.digest)}::text[])
      with ordinality as e (accepted_at, message_seq, size_bytes, entries, kind, network, sender, recipient, digest, place)
    order by place`
}

/**
 * Takes the oldest events out, in the order of their acceptance, passing over some networks. What they become must be
 * written in the same transaction.
 */
export async function takeAuditEvents(
  tx: TransactionSql,
  limit: number,
  except: readonly string[]
): Promise<InboxRow[]> {
  return tx<InboxRow[]>`
    with taken as (
      delete from audit_inbox where seq = any(array(
        select seq from audit_inbox where network <> all(${except as string[]}::text[]) order by seq limit ${limit}))
      returning seq, kind, network, sender, recipient, digest, size_bytes, entries, accepted_at, message_seq, salt
    )
    select seq, kind, network, sender, recipient, digest, size_bytes as bytes, entries, accepted_at as "acceptedAt",
      message_seq as "messageSeq", encode(salt, 'hex') as salt
    from taken order by seq`
}
