// SHA-256, by the platform's WebCrypto.
import { type Bytes, toHex } from './base64.ts'

/** Of the bytes, one part behind the other. */
export async function sha256(...parts: Uint8Array[]): Promise<Bytes> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', joined))
}

/**
 * SHA-256 of bytes, or of the UTF-8 of a text, as lower-case hex. The audit log names a signaling message by that of its
 * body's JSON text.
 */
export const digestOf = async (data: string | Uint8Array): Promise<string> =>
  toHex(await sha256(typeof data === 'string' ? new TextEncoder().encode(data) : data))
