// Checks, without asking anybody, that the relay has put a message on record: docs/audit.md, "Verify".
import { type Bytes, fromBase64, toBase64, toHex } from './base64.ts'
import { sha256 } from './digest.ts'
import { isSignedBy } from './ed25519.ts'

/** Ed25519 in a signed note (c2sp.org/signed-note, "Signature types"). */
const ED25519 = 1
const KEY_ID_BYTES = 4
const HASH_BYTES = 32

/** What `/audit/…` of a relay serves about one message. The key must come from elsewhere, or be kept from earlier. */
export interface Evidence {
  /** The verifier key line of the relay: `/audit/vkey`. */
  vkey: string
  /** The inclusion proof: `/audit/<network>/proof/<hash of the record>` (c2sp.org/tlog-proof). */
  proof: string
  /** The record, as its bytes are: `/audit/<network>/record/<its hash>`. */
  record: string
}

/** A message of `history`, or as much of one as is known. */
export interface ProvenMessage {
  from: string
  to: string
  messageHash: string
  l2psUid?: string
  l2psTxHash?: string | null
}

/** A message of signaling. */
export interface ProvenSignalingMessage {
  from: string
  to: string
  /** Of an `IncomingMessage` or a `Confirmation`: the client has made it from the body itself. */
  digest: string
}

/** What the relay has signed. */
export interface Proven {
  /** Of the log: `<name of the relay>/<network>`. */
  origin: string
  /** The place of the record in the log, from 0. */
  index: number
  /** How many records the signed log has. */
  treeSize: number
  /** SHA-256 of the record, in hex. */
  txHash: string
  /** When the relay accepted the message, by its clock, in Unix milliseconds. */
  acceptedAtMs: number
  /** The sender's messages in this network, counted from 1. */
  nonce: number
}

/** The evidence does not prove it; the message says why. */
export class ProofError extends Error {
  override readonly name = 'ProofError'
}

/**
 * Checks that the record is about this message, that the record is in the tree at the place that the proof says, and
 * that the relay has signed this tree. Rejects with a ProofError. It says nothing about delivery.
 */
export async function verifyProof(
  message: ProvenMessage | ProvenSignalingMessage,
  evidence: Evidence
): Promise<Proven> {
  const isSignaling = 'digest' in message
  const known = isSignaling ? { ...message, messageHash: message.digest, l2psUid: 'signaling' } : message
  try {
    return await verify(known, evidence)
  } catch (cause) {
    if (cause instanceof ProofError) throw cause
    throw new ProofError('The evidence cannot be read', { cause })
  }
}

async function verify(message: ProvenMessage, { vkey, proof, record }: Evidence): Promise<Proven> {
  const bytes = new TextEncoder().encode(record)
  const txHash = toHex(await sha256(bytes))
  const { network, acceptedAtMs, nonce } = checkRecord(message, record, txHash)
  const { index, path, note } = readProof(proof)
  const verifier = await readVerifier(vkey)
  const { origin, size, root } = readCheckpoint(await openNote(note, verifier))
  if (!isLogOf(origin, verifier.name, network)) {
    throw new ProofError(`The proof is from the log ${origin}, not from that of the network ${network}`)
  }
  const computed = await rootFrom(await sha256(Uint8Array.of(0), bytes), index, size, path)
  if (toBase64(computed) !== root) throw new ProofError('The record is not in the signed tree at this place')
  return { origin, index, treeSize: size, txHash, acceptedAtMs, nonce }
}

/**
 * Fetches the proof and the record of a message from a relay. `url`: where its `/audit` is, e.g. https://host:3006.
 * `txHash`: the `l2psTxHash` of history; in the network `signaling` one of `requestRecords`.
 */
export async function fetchEvidence(
  url: string,
  network: string,
  txHash: string,
  options: { signal?: AbortSignal } = {}
): Promise<Omit<Evidence, 'vkey'>> {
  const get = async (what: string): Promise<string> => {
    const response = await fetch(new URL(`/audit/${encodeURIComponent(network)}/${what}/${txHash}`, url), options)
    if (!response.ok) throw new ProofError(`The relay has no ${what} of this message: ${response.status}`)
    return response.text()
  }
  const [proof, record] = await Promise.all([get('proof'), get('record')])
  return { proof, record }
}

interface MessageRecord {
  network: string
  acceptedAtMs: number
  nonce: number
}

function checkRecord(message: ProvenMessage, text: string, txHash: string): MessageRecord {
  if (message.l2psTxHash && message.l2psTxHash !== txHash) {
    throw new ProofError('The record is another one than history names')
  }
  let record: Record<string, unknown>
  try {
    record = JSON.parse(text)
  } catch {
    throw new ProofError('The record is not JSON')
  }
  const { type, from, to, digest, network, acceptedAtMs, nonce } = record
  const isSame =
    type === 'instantMessaging' &&
    from === escapeId(message.from) &&
    to === escapeId(message.to) &&
    digest === escapeId(message.messageHash) &&
    (message.l2psUid === undefined || network === escapeId(message.l2psUid))
  if (!isSame) throw new ProofError('The record is about another message')
  return { network: String(network), acceptedAtMs: Number(acceptedAtMs), nonce: Number(nonce) }
}

/** How a record spells an id: bytes of UTF-8 that are not printable ASCII, and the percent sign, as %XX. */
const escapeId = (id: string): string =>
  Array.from(new TextEncoder().encode(id), (byte) =>
    byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  ).join('')

/** A log is named after the relay and its network; from its second epoch on with `@<epoch>`. */
function isLogOf(origin: string, relay: string, network: string): boolean {
  const [segment = '', epoch] = origin.slice(origin.lastIndexOf('/') + 1).split('@')
  const isNetwork = segment === encodeURIComponent(decodeURIComponent(network)) && (!epoch || /^\d+$/.test(epoch))
  const name = origin.slice(0, origin.lastIndexOf('/'))
  return isNetwork && (relay === name || relay === origin)
}

function readProof(text: string): { index: number; path: Bytes[]; note: string } {
  const end = text.indexOf('\n\n')
  const [head, ...lines] = text.slice(0, end).split('\n')
  if (lines[0]?.startsWith('extra ')) lines.shift()
  const [, digits] = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? '') ?? []
  if (end === -1 || head !== 'c2sp.org/tlog-proof@v1' || digits === undefined) throw new ProofError('Not a tlog-proof')
  return { index: Number(digits), path: lines.map(readHash), note: text.slice(end + 2) }
}

interface Verifier {
  name: string
  keyId: Bytes
  publicKey: Bytes
}

async function readVerifier(line: string): Promise<Verifier> {
  const [, name = '', id = '', key = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/.exec(line.trim()) ?? []
  const bytes = fromBase64(key)
  const computed = await sha256(new TextEncoder().encode(`${name}\n`), bytes)
  const keyId = computed.slice(0, KEY_ID_BYTES)
  if (bytes[0] !== ED25519 || bytes.length !== 1 + HASH_BYTES || toHex(keyId) !== id) {
    throw new ProofError('Not an Ed25519 verifier key line')
  }
  return { name, keyId, publicKey: bytes.slice(1) }
}

/** The text of a note that this verifier has signed. */
async function openNote(note: string, { name, keyId, publicKey }: Verifier): Promise<string> {
  const end = note.lastIndexOf('\n\n')
  if (end === -1) throw new ProofError('Not a signed note')
  const text = note.slice(0, end + 1)
  for (const line of note.slice(end + 2).split('\n')) {
    const [, signer, base64 = ''] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
    const signed = signer === name ? fromBase64(base64) : new Uint8Array()
    if (toHex(signed.slice(0, KEY_ID_BYTES)) !== toHex(keyId)) continue
    if (await isSignedBy(publicKey, new TextEncoder().encode(text), signed.slice(KEY_ID_BYTES))) return text
    throw new ProofError(`The signature of ${name} is wrong`)
  }
  throw new ProofError(`${name} has not signed this tree with this key`)
}

function readCheckpoint(text: string): { origin: string; size: number; root: string } {
  const [origin = '', size = '', root = ''] = text.split('\n')
  if (origin === '' || !/^[1-9]\d{0,15}$/.test(size)) throw new ProofError('Not a checkpoint')
  readHash(root)
  return { origin, size: Number(size), root }
}

function readHash(text: string): Bytes {
  let hash = new Uint8Array()
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) hash = fromBase64(text)
  if (hash.length !== HASH_BYTES || toBase64(hash) !== text) throw new ProofError('Not a SHA-256 hash in base64')
  return hash
}

/** The root over a leaf and its path: RFC 9162, 2.1.3.2. */
async function rootFrom(leaf: Bytes, index: number, size: number, path: Bytes[]): Promise<Bytes> {
  const mismatch = new ProofError('The path does not fit the size of the tree')
  if (index >= size) throw mismatch
  let hash = leaf
  let at = index
  let last = size - 1
  for (const sibling of path) {
    if (last === 0) throw mismatch
    if (at % 2 === 1 || at === last) {
      hash = await sha256(Uint8Array.of(1), sibling, hash)
      while (at % 2 === 0 && at > 0) {
        at = at / 2
        last = Math.floor(last / 2)
      }
    } else {
      hash = await sha256(Uint8Array.of(1), hash, sibling)
    }
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  if (last !== 0) throw mismatch
  return hash
}
