// AES-256-GCM without additional data, with a fresh nonce each time; the tag (16 bytes) follows the ciphertext.

const TAG_BYTES = 16
/** Bytes of a nonce. */
export const NONCE_BYTES = 12

export async function encrypt(
  plain: Uint8Array<ArrayBuffer>,
  key: Uint8Array<ArrayBuffer>
): Promise<{ nonce: Uint8Array<ArrayBuffer>; ciphertext: Uint8Array<ArrayBuffer> }> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const aesKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['encrypt'])
  const ciphertext = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, aesKey, plain)
  return { nonce, ciphertext: new Uint8Array(ciphertext) }
}

/** Rejects, with a sentence that says why, on lengths that cannot be right and on a tag that is not. */
export async function decrypt(
  nonce: Uint8Array<ArrayBuffer>,
  ciphertext: Uint8Array<ArrayBuffer>,
  key: Uint8Array<ArrayBuffer>
): Promise<Uint8Array<ArrayBuffer>> {
  if (nonce.length !== NONCE_BYTES) throw new Error(`A nonce has ${NONCE_BYTES} bytes, not ${nonce.length}`)
  if (ciphertext.length < TAG_BYTES) throw new Error('Sealed data is too short to hold a tag')
  const aesKey = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt'])
  const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, aesKey, ciphertext).catch(() => {
    throw new Error('The sealed data was not sealed to this key, or was changed on its way')
  })
  return new Uint8Array(plain)
}
