// The secrets of `demos-relay chat`: the seed of our own keys, kept in a file, and the key that a network shares.
import { createHash, randomBytes, scryptSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeOnce } from '../util/write-once.ts'

const KEY_BYTES = 32
/** Names that are themselves on every file system, also where upper and lower case are one. */
const PLAIN = /^[a-z0-9_-]{1,100}$/
/** scrypt (RFC 7914): 32 MiB and about a tenth of a second a guess. */
const SCRYPT = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1_048_576 }

/** Where the keys of a name are kept when nothing else is said. */
export function keysFile(configHome: string, name: string, protocol: 'signaling' | 'l2ps'): string {
  const file = PLAIN.test(name) ? name : `~${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
  return join(configHome, 'demos-relay', 'chat', `${file}.${protocol}.key`)
}

/** The seed a file holds (base64); a new one, mode 0600, when there is no file. */
export async function loadSeed(path: string, bytes: number): Promise<{ seed: Uint8Array; isNew: boolean }> {
  const made = `${randomBytes(bytes).toString('base64')}\n`
  const isNew = await writeOnce(path, made)
  const seed = Buffer.from(isNew ? made : await readFile(path, 'utf8'), 'base64')
  if (seed.length !== bytes) throw new Error(`${path} does not hold keys of this chat: ${bytes} bytes in base64`)
  return { seed: Uint8Array.from(seed), isNew }
}

/** A network's key from a file: 64 hex digits, base64, or the 32 bytes themselves. */
export async function readSubnetKey(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path)
  const text = bytes.toString('latin1').trim()
  if (/^[0-9a-f]{64}$/i.test(text)) return Uint8Array.from(Buffer.from(text, 'hex'))
  if (/^[A-Za-z0-9+/]{43}=$/.test(text)) return Uint8Array.from(Buffer.from(text, 'base64'))
  if (bytes.length === KEY_BYTES) return Uint8Array.from(bytes)
  throw new Error(
    `${path} does not hold a key: 64 hex digits, or 32 bytes in base64. demos-relay keygen subnet-key makes one`
  )
}

/** A network's key from words its members agreed on. Whoever guesses them reads everything. */
export const keyOfPassphrase = (passphrase: string, network: string): Uint8Array =>
  Uint8Array.from(scryptSync(passphrase.normalize('NFC'), `demos-relay chat in ${network}`, KEY_BYTES, SCRYPT))
