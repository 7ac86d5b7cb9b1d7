// Which key may sign the logs of a database. The database knows it: a server with another key, or with a fresh DATA_DIR,
// would sign a second history of the same logs.
import { type KeyObject, sign } from 'node:crypto'
import { nodeKeyFile } from '../config/files.ts'
import type { AnySql, Database, TransactionSql } from '../database/database.ts'
import { type AuditEvent, insertAuditEvents } from '../store/audit-inbox.ts'
import { allLogs, awaitSequencer } from '../store/audit-log.ts'
import { addSigner, readNewestNote, readSigner } from '../store/audit-node.ts'
import { isSigned, openNote, parseCheckpoint, rawPublicKey } from '../tlog/note.ts'
import { StartError } from '../util/start-error.ts'
import { loadNodeKey, makeNodeKey, type NodeIdentity, nodeIdentity, readNodeKey } from './node-key.ts'
import type { AuditRecord } from './record.ts'

export interface SignerSettings {
  readonly dataDir: string
  readonly nodeKeyFile: string | undefined
  readonly origin: string | undefined
  readonly now: () => number
}

const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex')
const REKEY = 'or let the key of this server sign from now on: demos-relay audit rekey'

/**
 * The node, whose key the database knows afterwards. A key is made only for a database that no key has signed. Throws
 * `StartError` when the logs belong to another key.
 */
export async function claimLogs(database: Database, settings: SignerSettings): Promise<NodeIdentity> {
  const path = nodeKeyFile(settings.dataDir, settings.nodeKeyFile)
  const found = await readNodeKey(path)
  if (found === undefined && (await database.within(signatureIn(database.sql))) !== undefined) {
    throw new StartError(
      `the audit logs in the database were signed by a node key, and there is none at ${path}: put that key back, ${REKEY}`
    )
  }
  const key = found ?? (await makeNodeKey(path))
  await database.within(database.sql.begin((tx) => claim(tx, key, path, settings.now())))
  return nodeIdentity(key, settings.origin)
}

async function claim(tx: TransactionSql, key: KeyObject, path: string, now: number): Promise<void> {
  await awaitSequencer(tx)
  const signed = await signatureIn(tx)
  const ours = rawPublicKey(key)
  if (signed === undefined || isBy(signed, ours)) {
    if (signed?.key === undefined) await addSigner(tx, ours, now)
    return
  }
  const other = signed.key === undefined ? '' : `, ${hex(signed.key)}`
  throw new StartError(
    `the audit logs in the database were signed by another node key${other}; the key at ${path} is ${hex(ours)}. Put the other key there, ${REKEY}`
  )
}

type Signature = { readonly key: Buffer } | { readonly key?: undefined; readonly note: string }

/** The key that signed, or for a database from before keys were kept, a note that it signed. */
async function signatureIn(sql: AnySql): Promise<Signature | undefined> {
  const key = await readSigner(sql)
  if (key !== undefined) return { key }
  const note = await readNewestNote(sql)
  return note === undefined ? undefined : { note }
}

function isBy(signed: Signature, publicKey: Buffer): boolean {
  return signed.key?.equals(publicKey) ?? isNoteOf(publicKey, (signed as { note: string }).note)
}

/** Whatever the node was called then: a note is signed under its origin, too. */
function isNoteOf(publicKey: Uint8Array, note: string): boolean {
  try {
    return openNote(note, { name: parseCheckpoint(note).origin, publicKey }) !== ''
  } catch {
    return false
  }
}

/** What both keys sign when a log goes from one to the other. Keys in hex; `at`: ms since 1970. */
export const rekeyStatement = (oldKey: string | undefined, newKey: string, at: number): string =>
  `demos-relay audit rekey\n${oldKey ?? ''}\n${newKey}\n${at}\n`

export interface Rekeyed {
  readonly node: NodeIdentity
  /** The key that signed before, in hex; undefined: not known. */
  readonly oldKey: string | undefined
  /** Did the old key sign the change, too? */
  readonly isCountersigned: boolean
  readonly logs: number
}

/**
 * The key of the settings (made if it is not there) signs from now on. Every log gets a record of it, signed by the new
 * key, and by the old one if its file is given. Undefined: it is the signer already. Throws `StartError`.
 */
export async function rekey(
  database: Database,
  settings: SignerSettings,
  oldKeyFile: string | undefined
): Promise<Rekeyed | undefined> {
  const old = oldKeyFile === undefined ? undefined : await readNodeKey(oldKeyFile)
  if (oldKeyFile !== undefined && old === undefined) throw new StartError(`there is no key at ${oldKeyFile}`)
  const key = await loadNodeKey(nodeKeyFile(settings.dataDir, settings.nodeKeyFile))
  const work = database.sql.begin((tx) => giveTo(tx, key, old, settings.now())) as Promise<Change | undefined>
  const change = await database.within(work)
  return change && { ...change, node: nodeIdentity(key, settings.origin) }
}

type Change = Omit<Rekeyed, 'node'>

async function giveTo(
  tx: TransactionSql,
  key: KeyObject,
  old: KeyObject | undefined,
  acceptedAt: number
): Promise<Change | undefined> {
  await awaitSequencer(tx)
  const signed = await signatureIn(tx)
  const ours = rawPublicKey(key)
  if (signed === undefined || isBy(signed, ours)) return undefined
  const given = old && rawPublicKey(old)
  if (given && !isBy(signed, given)) {
    throw new StartError(`the old key that was given, ${hex(given)}, is not the one that signed the logs`)
  }
  const signer = signed.key ?? given
  const oldKey = signer && hex(signer)
  const statement = rekeyStatement(oldKey, hex(ours), acceptedAt)
  const signatures = [key, ...(old ? [old] : [])].map((each) =>
    sign(null, Buffer.from(statement), each).toString('hex')
  )
  const fact = { kind: 'rekey' as const, recipient: hex(ours), digest: signatures.join(' '), acceptedAt }
  const logs = await allLogs(tx)
  const events: AuditEvent[] = logs.map(({ network }) => ({ ...fact, network, ...(oldKey ? { sender: oldKey } : {}) }))
  await insertAuditEvents(tx, events)
  await addSigner(tx, ours, acceptedAt)
  return { oldKey, isCountersigned: old !== undefined, logs: logs.length }
}

/** What is wrong with the signatures of such a record, fit to follow "record 5 "; undefined: nothing. */
export function rekeyFault(record: Extract<AuditRecord, { type: 'rekey' }>): string | undefined {
  const { oldKey, newKey, newSignature, oldSignature, acceptedAtMs } = record
  const statement = rekeyStatement(oldKey, newKey, acceptedAtMs)
  const isValid = (key: string, signature: string) =>
    isSigned(statement, Buffer.from(signature, 'hex'), Buffer.from(key, 'hex'))
  if (!isValid(newKey, newSignature)) return 'gives the log to a key that did not sign it'
  if (oldSignature === undefined || (oldKey !== undefined && isValid(oldKey, oldSignature))) return undefined
  return 'bears a signature that is not by the old key'
}
