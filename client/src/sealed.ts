// Message bodies as the official SDK lays them out: sealed to one key, opaque to the server.
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { decrypt, encrypt, NONCE_BYTES } from './aes-gcm.ts'
import { fromBase64, toBase64 } from './base64.ts'

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
  const joined = fromBase64(sealed.serializedEncryptedData)
  const [nonce, ciphertext] = [joined.subarray(0, NONCE_BYTES), joined.subarray(NONCE_BYTES)]
  const plain = await decrypt(nonce, ciphertext, ml_kem768.decapsulate(cipherText, secretKey))
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
