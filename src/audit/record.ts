// The records of a log: their schemas, and how an audit event becomes one.
import { createHash } from 'node:crypto'
import { type Static, type TProperties, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import canonicalize from 'canonicalize'
import { ADMINISTRATION, type AdministrationAction, type InboxEvent } from '../store/audit-inbox.ts'

/** Longest record, in bytes: an entry bundle counts them in 16 bits. */
const MAX_ENTRY_BYTES = 65_535

const Hex = (digits: number, description?: string) =>
  Type.String({
    pattern: `^[0-9a-f]{${digits}}$`,
    'x-allowed': `${digits} hexadecimal digits`,
    ...(description === undefined ? {} : { description })
  })
const Id = (description: string) =>
  Type.String({ pattern: '^[ -~]*$', 'x-allowed': 'printable ASCII', description: `${description}; see escapeId()` })
const Count = (description: string) => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })

const Common = { version: Type.Literal(1), network: Id('The network') }
const When = { acceptedAtMs: Count('Since 1970'), salt: Hex(32, 'Random') }
const Nonce = Type.Integer({ minimum: 1, description: 'Counts the records of `from` in this network, from 1.' })

const record = <T extends string, P extends TProperties>(type: T, properties: P, description: string) =>
  Type.Object({ ...Common, type: Type.Literal(type), ...properties }, { additionalProperties: false, description })

export const MessageRecord = record(
  'instantMessaging',
  {
    ...When,
    from: Id('The sender'),
    to: Id('The recipient'),
    digest: Id('messageHash, or (signaling) the SHA-256 of the body'),
    sizeBytes: Count('Of the body'),
    nonce: Nonce
  },
  'A message was accepted.'
)
export const MessageLostRecord = record(
  'messageLost',
  When,
  'A message was accepted, and somebody deleted it from the database before its record was made.'
)
export const KeyChangeRecord = record(
  'keyChange',
  { ...When, from: Id('The peer'), digest: Id('Names the new encryption key'), nonce: Nonce },
  'A peer registered another encryption key.'
)
export const IdentityReleaseRecord = record(
  'identityRelease',
  { ...When, peer: Id('The name that is free again') },
  'An administrator released a name.'
)
export const PurgeRecord = record(
  'purge',
  {
    ...When,
    to: Id('Whose mailbox'),
    from: Type.Optional(Id('Only what this sender had sent')),
    entries: Count('How many messages'),
    sizeBytes: Count('Of their bodies')
  },
  'An administrator deleted messages that waited.'
)
export const AdministrationRecord = record(
  'administration',
  {
    ...When,
    action: Type.Union(ADMINISTRATION.map((action) => Type.Literal(action))),
    peer: Type.Optional(Id('Whom it was done to; without it: the network')),
    entries: Type.Optional(Count('How many messages'))
  },
  'An administrator did something else.'
)
export const RestoreRecord = record(
  'restore',
  { ...When, lostSize: Count('Records of the lost tree'), lostRoot: Hex(64) },
  'An operator accepted a database from before the last signed checkpoint, which this names.'
)
export const RekeyRecord = record(
  'rekey',
  {
    ...When,
    newKey: Hex(64, 'Ed25519: signs from now on'),
    newSignature: Hex(128, 'By it, of rekeyStatement()'),
    oldKey: Type.Optional(Hex(64, 'Signed until now; without it: not known')),
    oldSignature: Type.Optional(Hex(128, 'By it, of the same; without it: the old key was lost'))
  },
  'An operator gave the log to another node key.'
)
export const CheckpointRecord = record(
  'checkpoint',
  { of: Id('Whose log'), origin: Type.String(), size: Count('Records'), rootHash: Hex(64) },
  'A checkpoint of another log of this node. Without salt: nothing in it is secret, and equal ones are one.'
)

export const AuditRecord = Type.Union([
  MessageRecord,
  MessageLostRecord,
  KeyChangeRecord,
  IdentityReleaseRecord,
  PurgeRecord,
  AdministrationRecord,
  RestoreRecord,
  RekeyRecord,
  CheckpointRecord
])
export type AuditRecord = Static<typeof AuditRecord>

const isRecord = TypeCompiler.Compile(AuditRecord)

/**
 * An id in printable ASCII: every byte of its UTF-8 below 0x20 or above 0x7E, and the percent sign itself, is written
 * as %XX (upper-case hex), everything else as it is. Two ids never become one, and decodeURIComponent() undoes it.
 */
export function escapeId(id: string): string {
  if (/^[ -$&-~]*$/.test(id)) return id
  return Array.from(Buffer.from(id), (byte) => {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    return isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

/** RFC 8785 (JSON Canonicalization Scheme) of a record. */
export const canonicalJson = (record: AuditRecord): string => canonicalize(record)!

/** Reads a record; undefined when the bytes are not the canonical form of one. */
export function parseRecord(entry: Uint8Array): AuditRecord | undefined {
  try {
    const text = Buffer.from(entry).toString('latin1') // ASCII; what is not will differ below
    const value: unknown = JSON.parse(text)
    return isRecord.Check(value) && canonicalJson(value) === text && entry.length <= MAX_ENTRY_BYTES ? value : undefined
  } catch {
    return undefined
  }
}

/** The sender whose records the nonce counts, as it stands in the record; undefined: the record has no nonce. */
export const noncedSender = ({ kind, sender }: InboxEvent): string | undefined =>
  kind === 'message' || kind === 'key-change' ? escapeId(sender!) : undefined

/** What the two ends of a message know of its record. */
export interface MessageFacts {
  readonly sender: string
  readonly recipient: string
  readonly digest: string
}

/** A short name of a message, by which its record is found: 64 bits of a SHA-256, never 0. Two messages may share one. */
export function nameOfMessage({ sender, recipient, digest }: MessageFacts): bigint {
  const text = [sender, recipient, digest].map(escapeId).join('\n')
  return createHash('sha256').update(text).digest().readBigInt64BE() || 1n
}

/** Is this the record of such a message? */
export function isRecordOf(entry: Uint8Array, { sender, recipient, digest }: MessageFacts): boolean {
  const record = parseRecord(entry)
  if (record?.type !== 'instantMessaging') return false
  return record.from === escapeId(sender) && record.to === escapeId(recipient) && record.digest === escapeId(digest)
}

/** The name of the record of an event; null where nobody asks for it by one: it is no message, or history tells its hash. */
export function recordName({ kind, messageSeq, sender, recipient, digest }: InboxEvent): bigint | null {
  if (kind !== 'message' || messageSeq !== null) return null
  return nameOfMessage({ sender: sender!, recipient: recipient!, digest: digest! })
}

/**
 * The record of an event, as canonical JSON. `nonce` is ignored where there is no `noncedSender`. The keys are in order
 * and the texts are ASCII already, so JSON.stringify() gives the same as canonicalJson() (RFC 8785).
 */
export const recordText = (row: InboxEvent, nonce: number): string => JSON.stringify(recordOf(row, nonce))

/** Keys in the order of canonical JSON. */
function recordOf(row: InboxEvent, nonce: number): AuditRecord {
  const id = (text: string | null) => escapeId(text ?? '')
  const { acceptedAt: acceptedAtMs, salt } = row
  const [network, sizeBytes, version] = [id(row.network), row.bytes ?? 0, 1 as const]
  switch (row.kind) {
    case 'message': {
      const [digest, from, to, type] = [id(row.digest), id(row.sender), id(row.recipient), 'instantMessaging' as const]
      return { acceptedAtMs, digest, from, network, nonce, salt, sizeBytes, to, type, version }
    }
    case 'message-lost':
      return { acceptedAtMs, network, salt, type: 'messageLost', version }
    case 'key-change': {
      const [digest, from] = [id(row.digest), id(row.sender)]
      return { acceptedAtMs, digest, from, network, nonce, salt, type: 'keyChange', version }
    }
    case 'identity-release':
      return { acceptedAtMs, network, peer: id(row.sender), salt, type: 'identityRelease', version }
    case 'purge': {
      const from = row.sender === null ? {} : { from: id(row.sender) }
      const [entries, to] = [row.entries ?? 0, id(row.recipient)]
      return { acceptedAtMs, entries, ...from, network, salt, sizeBytes, to, type: 'purge', version }
    }
    case 'administration': {
      const [action, type] = [row.digest as AdministrationAction, 'administration' as const]
      const entries = row.entries === null ? {} : { entries: row.entries }
      const peer = row.sender === null ? {} : { peer: id(row.sender) }
      return { acceptedAtMs, action, ...entries, network, ...peer, salt, type, version }
    }
    case 'restore':
      return { acceptedAtMs, lostRoot: row.digest ?? '', lostSize: sizeBytes, network, salt, type: 'restore', version }
    case 'rekey': {
      const [newSignature = '', oldSignature] = (row.digest ?? '').split(' ')
      const [newKey, type] = [row.recipient ?? '', 'rekey' as const]
      const oldKey = row.sender === null ? {} : { oldKey: row.sender }
      const byOld = oldSignature === undefined ? {} : { oldSignature }
      return { acceptedAtMs, network, newKey, newSignature, ...oldKey, ...byOld, salt, type, version }
    }
    case 'checkpoint': {
      const [of, origin, rootHash] = [id(row.sender), row.recipient ?? '', row.digest ?? '']
      return { network, of, origin, rootHash, size: sizeBytes, type: 'checkpoint', version }
    }
  }
}
