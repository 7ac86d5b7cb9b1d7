// Ed25519 (RFC 8032) by the platform's WebCrypto: Node, Chrome 137, Firefox 129, Safari 17, or later.
import { type Bytes, fromBase64, fromHex } from './base64.ts'

/** PKCS #8 (RFC 8410 §7) of an ed25519 key, up to its seed. */
const PKCS8_HEAD = fromHex('302e020100300506032b657004220420')
const SEED_BYTES = 32

export interface Ed25519Key {
  readonly publicKey: Bytes
  sign(message: Uint8Array): Promise<Bytes>
}

/** The key of a seed of 32 bytes. Rejects when the platform does not know Ed25519. */
export async function ed25519Key(seed: Uint8Array): Promise<Ed25519Key> {
  if (seed.length !== SEED_BYTES) throw new RangeError(`A signing seed has ${SEED_BYTES} bytes, not ${seed.length}`)
  const encoded = Uint8Array.from([...PKCS8_HEAD, ...seed])
  const key = await crypto.subtle.importKey('pkcs8', encoded, 'Ed25519', true, ['sign'])
  const { x = '' } = await crypto.subtle.exportKey('jwk', key)
  return {
    publicKey: fromBase64(x.replaceAll('-', '+').replaceAll('_', '/')),
    sign: async (message) => new Uint8Array(await crypto.subtle.sign('Ed25519', key, Uint8Array.from(message)))
  }
}

/** Whether the signature is right; false, too, for bytes that are no key or no signature. */
export async function isSignedBy(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify'])
    return await crypto.subtle.verify('Ed25519', key, signature, message)
  } catch (cause) {
    if ((cause as Error).name === 'NotSupportedError') throw cause
    return false
  }
}
