// Message bodies as the official SDK lays them out: sealed to one key, opaque to the server.
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { fromBase64, toBase64 } from './base64.ts'

const IV_BYTES = 12
const TAG_BYTES = 16
const PUBLIC_KEY_BYTES = 1184
const SECRET_KEY_BYTES = 2400
const CIPHER_TEXT_BYTES = 1088

/** One sealed body. Source: protocol, "Encryption of message bodies". */
export interface Sealed {
  algorithm: 'ml-kem-aes'
  /** Base64 of IV (12 bytes), AES-256-GCM ciphertext, tag (16 bytes). */
  serializedEncryptedData: string
  /** Base64 of the 1088-byte ML-KEM-768 encapsulation, whose shared secret is the AES key. */
  serializedCipherText: string
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
  return {
    algorithm: 'ml-kem-aes',
    serializedEncryptedData: toBase64(await encrypt(new TextEncoder().encode(text), sharedSecret)),
    serializedCipherText: toBase64(cipherText)
  }
}

/**
 * Opens a body of any origin. Rejects, with a sentence that says why, on anything that is not a body sealed to this
 * key: another shape, text that is not base64, lengths that do not fit, a broken tag, bytes that are not UTF-8.
 */
export async function open(sealed: unknown, secretKey: Uint8Array): Promise<string> {
  if (!isSealed(sealed)) throw new Error('Not a sealed message body')
  if (secretKey.length !== SECRET_KEY_BYTES) throw new Error('Not an ML-KEM-768 secret key')
  const cipherText = fromBase64(sealed.serializedCipherText)
  if (cipherText.length !== CIPHER_TEXT_BYTES) {
    throw new Error(`Not an ML-KEM-768 encapsulation: ${cipherText.length} bytes instead of ${CIPHER_TEXT_BYTES}`)
  }
  const plain = await decrypt(fromBase64(sealed.serializedEncryptedData), ml_kem768.decapsulate(cipherText, secretKey))
  // The text is returned as it was sealed: a leading byte order mark belongs to it.
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain)
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

/** AES-256-GCM without additional data: IV, ciphertext, tag. */
async function encrypt(plain: Uint8Array<ArrayBuffer>, key: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
  const aesKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, aesKey, plain))
  const whole = new Uint8Array(IV_BYTES + encrypted.length)
  whole.set(iv)
  whole.set(encrypted, IV_BYTES)
  return whole
}

async function decrypt(whole: Uint8Array<ArrayBuffer>, key: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  if (whole.length < IV_BYTES + TAG_BYTES) throw new Error('Sealed data is too short to hold an IV and a tag')
  const aesKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt'])
  const iv = whole.subarray(0, IV_BYTES)
  return crypto.subtle.decrypt({ name: 'AES-GCM', iv }, aesKey, whole.subarray(IV_BYTES)).catch(() => {
    throw new Error('The sealed data was not sealed to this key, or was changed on its way')
  })
}
