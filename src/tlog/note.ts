// Signed notes (c2sp.org/signed-note), and the two texts made of them: checkpoints and proofs.
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { sha256 } from './tree.ts'

/** signed-note, signature types: Ed25519. */
const ED25519 = Buffer.from([1])
const KEY_ID_BYTES = 4
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u
const signAsync = promisify(sign)

/** Who signs notes: the node's key under one name. */
export interface Verifier {
  /** Key name: no spaces, no plus. */
  readonly name: string
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/** The text is not a signed note, or the verifier did not sign it. */
export class InvalidNote extends Error {
  override name = 'InvalidNote'
}

/** A checkpoint: c2sp.org/tlog-checkpoint, without extension lines. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

const keyId = ({ name, publicKey }: Verifier): Buffer =>
  sha256(Buffer.concat([Buffer.from(`${name}\n`), ED25519, publicKey])).subarray(0, KEY_ID_BYTES)

/** The verifier key line (vkey): `<name>+<key id>+<key>`. */
export function verifierLine(verifier: Verifier): string {
  const key = Buffer.concat([ED25519, verifier.publicKey]).toString('base64')
  return `${verifier.name}+${keyId(verifier).toString('hex')}+${key}`
}

/** Reads a verifier key line. Throws `InvalidNote`. */
export function parseVerifier(line: string): Verifier {
  const [, name, id, key] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/u.exec(line) ?? []
  const bytes = Buffer.from(key ?? '', 'base64')
  const verifier = { name: name ?? '', publicKey: bytes.subarray(1) }
  const isWhole = bytes.length === 33 && bytes[0] === 1 && keyId(verifier).toString('hex') === id
  if (!isWhole) throw new InvalidNote('not an Ed25519 verifier key line')
  return verifier
}

/** Signs a text, which ends in a newline, under each of these names; they share one key, so also one signature. */
export async function signNote(text: string, names: readonly string[], key: KeyObject): Promise<string> {
  const signature = await signAsync(null, Buffer.from(text), key)
  const publicKey = rawPublicKey(key)
  const lines = names.map((name) => {
    const signed = Buffer.concat([keyId({ name, publicKey }), signature])
    return `\u2014 ${name} ${signed.toString('base64')}\n`
  })
  return `${text}\n${lines.join('')}`
}

/** The text of a note that this verifier signed; the lines of others are ignored. Throws `InvalidNote`. */
export function openNote(note: string, verifier: Verifier): string {
  const end = note.lastIndexOf('\n\n')
  if (end === -1 || !note.endsWith('\n')) throw new InvalidNote('not a signed note')
  const text = note.slice(0, end + 1)
  const id = keyId(verifier)
  for (const line of note.slice(end + 2, -1).split('\n')) {
    const [, name, base64] = SIGNATURE_LINE.exec(line) ?? []
    if (name === undefined) throw new InvalidNote('a line below the note is not a signature')
    const signed = Buffer.from(base64!, 'base64')
    if (name !== verifier.name || !signed.subarray(0, KEY_ID_BYTES).equals(id)) continue
    if (isSigned(text, signed.subarray(KEY_ID_BYTES), verifier.publicKey)) return text
    throw new InvalidNote(`the signature of ${name} is wrong`)
  }
  throw new InvalidNote(`no signature of ${verifier.name}`)
}

/** The 32 bytes of an ed25519 key, private or public. */
export function rawPublicKey(key: KeyObject): Buffer {
  const { x } = (key.type === 'public' ? key : createPublicKey(key)).export({ format: 'jwk' })
  return Buffer.from(x!, 'base64url')
}

export const checkpointText = ({ origin, size, root }: Checkpoint): string =>
  `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`

/** Reads the text of a checkpoint, or of a whole note without looking at who signed it. Throws `InvalidNote`. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, base64] = text.split('\n', 3)
  const root = Buffer.from(base64 ?? '', 'base64')
  const isCheckpoint =
    origin !== undefined &&
    origin !== '' &&
    /^(0|[1-9]\d{0,15})$/.test(size ?? '') &&
    root.length === 32 &&
    root.toString('base64') === base64
  if (!isCheckpoint) throw new InvalidNote('not a checkpoint')
  return { origin, size: Number(size), root }
}

/** A self-contained inclusion proof: c2sp.org/tlog-proof@v1. */
export function proofText(index: number, path: readonly Uint8Array[], checkpointNote: string): string {
  const hashes = path.map((hash) => `${Buffer.from(hash).toString('base64')}\n`)
  return `c2sp.org/tlog-proof@v1\nindex ${index}\n${hashes.join('')}\n${checkpointNote}`
}

/** Is this the ed25519 signature of the text by this key (32 bytes)? Never throws. */
export function isSigned(text: string, signature: Uint8Array, publicKey: Uint8Array): boolean {
  const x = Buffer.from(publicKey).toString('base64url')
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    return verify(null, Buffer.from(text), key, signature)
  } catch {
    return false
  }
}
