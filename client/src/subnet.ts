// Bodies sealed with the key every member of a subnet holds, laid out as the SDK's channel layer lays them out.
import { decrypt, encrypt } from './aes-gcm.ts'
import { fromBase64, toBase64 } from './base64.ts'

const KEY_BYTES = 32

/** What L2PS messages carry. Fields beyond these are kept and passed on by the server as they are. */
export interface Encrypted {
  /** Standard base64 of AES-256-GCM ciphertext and tag (16 bytes). The server takes up to 131 072 characters. */
  ciphertext: string
  /** Standard base64 of 12 bytes. */
  nonce: string
  [field: string]: unknown
}

/**
 * Seals text (as UTF-8) or bytes with a subnet's 32-byte key. Every call draws its nonce at random, so one key is good
 * for some 2^32 messages of all members together. Source: protocol, "Channel transport".
 */
export async function sealForSubnet(
  content: string | Uint8Array,
  subnetKey: Uint8Array
): Promise<{ ciphertext: string; nonce: string }> {
  const plain = typeof content === 'string' ? new TextEncoder().encode(content) : Uint8Array.from(content)
  const { nonce, ciphertext } = await encrypt(plain, checkedKey(subnetKey))
  return { ciphertext: toBase64(ciphertext), nonce: toBase64(nonce) }
}

/**
 * Opens a body of any origin. Rejects, with a sentence that says why, on anything that was not sealed with this key:
 * another shape, text that is not base64, lengths that do not fit, a broken tag.
 */
export async function openFromSubnet(encrypted: unknown, subnetKey: Uint8Array): Promise<Uint8Array> {
  if (!isEncrypted(encrypted)) throw new Error('Not an encrypted message body')
  return decrypt(fromBase64(encrypted.nonce), fromBase64(encrypted.ciphertext), checkedKey(subnetKey))
}

/** The same for text; rejects also on bytes that are not UTF-8. */
export async function openTextFromSubnet(encrypted: unknown, subnetKey: Uint8Array): Promise<string> {
  const plain = await openFromSubnet(encrypted, subnetKey)
  // The text is returned as it was sealed: a leading byte order mark belongs to it.
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain)
}

/** Whether a value has the shape of an encrypted body; says nothing about whether it opens. */
export function isEncrypted(value: unknown): value is Encrypted {
  if (typeof value !== 'object' || value === null) return false
  const { ciphertext, nonce } = value as Partial<Encrypted>
  return typeof ciphertext === 'string' && typeof nonce === 'string'
}

function checkedKey(subnetKey: Uint8Array): Uint8Array<ArrayBuffer> {
  if (subnetKey.length !== KEY_BYTES) throw new Error(`A subnet key has ${KEY_BYTES} bytes, not ${subnetKey.length}`)
  return Uint8Array.from(subnetKey)
}
