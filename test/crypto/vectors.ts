// The published proofs the tests of this folder share.
import { readFileSync } from 'node:fs'
import { algorithmNamed } from '../../src/crypto/algorithms.ts'
import type { Proof } from '../../src/crypto/verifier.ts'
import { decodeBase64 } from '../../src/util/encoding.ts'

const read = (name: string) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'))

export const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

/** A copy with some bits of one byte turned over. */
export function flip(bytes: Uint8Array, index: number, mask = 1): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[index] = copy[index]! ^ mask
  return copy
}

/** Each part of a proof at a wrong length: none, one byte less, one byte more. */
export function* wrongLengths(part: Uint8Array): Generator<Uint8Array> {
  yield new Uint8Array(0)
  yield part.slice(0, -1)
  yield Uint8Array.from([...part, 0])
}

interface Ed25519Vector {
  publicKey: string
  message: string
  signature: string
}

const ed25519Proof = ({ publicKey, message, signature }: Ed25519Vector): Proof => ({
  algorithm: 'ed25519',
  publicKey: hex(publicKey),
  message: hex(message),
  signature: hex(signature)
})

/** The vectors of ed25519.cr.yp.to's sign.input, all valid. */
export const signInput: Proof[] = read('ed25519-sign-input').vectors.map(ed25519Proof)

/** The edge cases of ed25519-speccheck, and what our rule says of each. */
export const speccheck: { why: string; valid: boolean; proof: Proof }[] = read('ed25519-speccheck').vectors.map(
  (vector: Ed25519Vector & { why: string; valid: boolean }) => ({ ...vector, proof: ed25519Proof(vector) })
)

export interface RegistrationVector {
  name: string
  recommended: string
  frame: { payload: { verification?: Record<string, unknown> } }
}

/** Registration frames made with the real SDK. */
export const registrations: RegistrationVector[] = read('signaling-registration').vectors

/** The proof in a registration frame, or `undefined` where a part is missing or cannot be decoded. */
export function proofOf({ frame }: RegistrationVector): Proof | undefined {
  const verification = frame.payload.verification ?? {}
  const part = (name: string) => {
    const text = verification[name]
    return typeof text === 'string' ? decodeBase64(text) : undefined
  }
  const algorithm = algorithmNamed(String(verification.algorithm))?.name
  const publicKey = part('serializedPublicKey')
  const message = part('serializedMessage')
  const signature = part('serializedSignedData')
  return algorithm && publicKey && message && signature ? { algorithm, publicKey, message, signature } : undefined
}

/** The proof of one registration vector that has one. */
export function registrationProof(name: string): Proof {
  const vector = registrations.find((candidate) => candidate.name === name)
  const proof = vector && proofOf(vector)
  if (!proof) throw new Error(`No proof in vector ${name}`)
  return proof
}
