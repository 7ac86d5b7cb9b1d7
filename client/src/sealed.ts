// Sealed message bodies in the layouts of the official SDK: sealed to one recipient's key (signaling), or with the key
// that the members of a subnet share (L2PS). Both use AES-256-GCM without additional data.
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { type Bytes, fromBase64, toBase64 } from './base64.ts'

const PUBLIC_KEY_BYTES = 1184
const SECRET_KEY_BYTES = 2400
const ENCAPSULATION_BYTES = 1088
const SUBNET_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** A body sealed to one key. Source: docs/protocol.md, 2.7. */
export interface Sealed {
  algorithm: 'ml-kem-aes'
  /** Base64 of IV (12 bytes), AES-256-GCM ciphertext, tag (16 bytes). */
  serializedEncryptedData: string
  /** Base64 of the 1088-byte ML-KEM-768 encapsulation, whose shared secret is the AES key. */
  serializedCipherText: string
}

/** A body sealed with a subnet's key. The server keeps fields beyond these and passes them on as they are. */
export interface Encrypted {
  /** Standard base64 of AES-256-GCM ciphertext and tag (16 bytes). The server takes up to 131 072 characters. */
  ciphertext: string
  /** Standard base64 of 12 bytes. */
  nonce: string
  [field: string]: unknown
}

/**
 * Seals text (as UTF-8) to an ML-KEM-768 key. Every call makes a fresh shared secret, so no AES key is used twice.
 * Rejects on a key that is not 1184 bytes of a valid ML-KEM-768 key.
 */
export async function seal(text: string, recipientPublicKey: Uint8Array): Promise<Sealed> {
  if (recipientPublicKey.length !== PUBLIC_KEY_BYTES) {
    throw new Error(`Not an ML-KEM-768 public key: ${recipientPublicKey.length} bytes instead of ${PUBLIC_KEY_BYTES}`)
  }
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(recipientPublicKey)
  const { nonce, ciphertext } = await encrypt(new TextEncoder().encode(text), sharedSecret)
  const joined = new Uint8Array(nonce.length + ciphertext.length)
  joined.set(nonce)
  joined.set(ciphertext, nonce.length)
  return {
    algorithm: 'ml-kem-aes',
    serializedEncryptedData: toBase64(joined),
    serializedCipherText: toBase64(cipherText)
  }
}

/**
 * Opens a body from any source. Rejects with a sentence that says why when the body was not sealed to this key: another
 * shape, text that is not base64, lengths that do not fit, a broken tag, bytes that are not UTF-8.
 */
export async function open(sealed: unknown, secretKey: Uint8Array): Promise<string> {
  if (!isSealed(sealed)) throw new Error('Not a sealed message body')
  if (secretKey.length !== SECRET_KEY_BYTES) throw new Error('Not an ML-KEM-768 secret key')
  const encapsulation = fromBase64(sealed.serializedCipherText)
  if (encapsulation.length !== ENCAPSULATION_BYTES) {
    throw new Error(`Not an ML-KEM-768 encapsulation: ${encapsulation.length} bytes instead of ${ENCAPSULATION_BYTES}`)
  }
  const joined = fromBase64(sealed.serializedEncryptedData)
  const [nonce, ciphertext] = [joined.subarray(0, NONCE_BYTES), joined.subarray(NONCE_BYTES)]
  return decodeText(await decrypt(nonce, ciphertext, ml_kem768.decapsulate(encapsulation, secretKey)))
}

/** Whether a value has the shape of a sealed body; says nothing about whether it opens. */
export function isSealed(value: unknown): value is Sealed {
  if (typeof value !== 'object' || value === null) return false
  const body = value as Partial<Sealed>
  return (
    body.algorithm === 'ml-kem-aes' &&
    typeof body.serializedEncryptedData === 'string' &&
    typeof body.serializedCipherText === 'string'
  )
}

/**
 * Seals text (as UTF-8) or bytes with a subnet's 32-byte key. Every call draws its nonce at random, so one key is good
 * for about 2^32 messages of all members together. Source: protocol, "Channel transport".
 */
export async function sealForSubnet(
  content: string | Uint8Array,
  subnetKey: Uint8Array
): Promise<{ ciphertext: string; nonce: string }> {
  const plain = typeof content === 'string' ? new TextEncoder().encode(content) : Uint8Array.from(content)
  const { nonce, ciphertext } = await encrypt(plain, checkSubnetKey(subnetKey))
  return { ciphertext: toBase64(ciphertext), nonce: toBase64(nonce) }
}

/**
 * Opens a body from any source. Rejects with a sentence that says why when the body was not sealed with this key:
 * another shape, text that is not base64, lengths that do not fit, a broken tag.
 */
export async function openFromSubnet(encrypted: unknown, subnetKey: Uint8Array): Promise<Uint8Array> {
  if (!isEncrypted(encrypted)) throw new Error('Not an encrypted message body')
  return decrypt(fromBase64(encrypted.nonce), fromBase64(encrypted.ciphertext), checkSubnetKey(subnetKey))
}

/** The same for text; rejects also on bytes that are not UTF-8. */
export async function openTextFromSubnet(encrypted: unknown, subnetKey: Uint8Array): Promise<string> {
  return decodeText(await openFromSubnet(encrypted, subnetKey))
}

/** Whether a value has the shape of an encrypted body; says nothing about whether it opens. */
export function isEncrypted(value: unknown): value is Encrypted {
  if (typeof value !== 'object' || value === null) return false
  const { ciphertext, nonce } = value as Partial<Encrypted>
  return typeof ciphertext === 'string' && typeof nonce === 'string'
}

/** Draws a fresh nonce for each call. The tag follows the ciphertext. */
async function encrypt(plain: Bytes, key: Bytes): Promise<{ nonce: Bytes; ciphertext: Bytes }> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const aesKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
  const ciphertext = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, aesKey, plain)
  return { nonce, ciphertext: new Uint8Array(ciphertext) }
}

/** Rejects, with a sentence that says why, on impossible lengths and on a tag that does not fit. */
async function decrypt(nonce: Bytes, ciphertext: Bytes, key: Bytes): Promise<Bytes> {
  if (nonce.length !== NONCE_BYTES) throw new Error(`A nonce has ${NONCE_BYTES} bytes, not ${nonce.length}`)
  if (ciphertext.length < TAG_BYTES) throw new Error('Sealed data is too short to hold a tag')
  const aesKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt'])
  const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, aesKey, ciphertext).catch(() => {
    throw new Error('The sealed data was not sealed to this key, or was changed on its way')
  })
  return new Uint8Array(plain)
}

/** Keeps a leading byte order mark: it is part of the text that was sealed. */
const decodeText = (plain: Uint8Array): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain)

function checkSubnetKey(subnetKey: Uint8Array): Bytes {
  if (subnetKey.length !== SUBNET_KEY_BYTES) {
    throw new Error(`A subnet key has ${SUBNET_KEY_BYTES} bytes, not ${subnetKey.length}`)
  }
  return Uint8Array.from(subnetKey)
}
