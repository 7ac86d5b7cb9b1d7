import { createHash } from 'node:crypto'
import type { ProofAlgorithm } from '../crypto/algorithms.ts'

/** A peer of an L2PS network: the public key it is known by. */
export interface PeerKey {
  readonly algorithm: ProofAlgorithm
  /** In lower-case hex: one spelling for one key, whatever its letter case on the wire. */
  readonly hex: string
  /** What it is called in the database: an ed25519 key itself, else its algorithm and SHA-256 (an index has no room). */
  readonly address: string
}

/** Which algorithm a key is of, by its number of hex digits (protocol.md section 11). */
const ALGORITHMS: ReadonlyMap<number, ProofAlgorithm> = new Map([
  [64, 'ed25519'],
  [1794, 'falcon'],
  [3904, 'ml-dsa']
])

const HEX = /^[0-9a-fA-F]+$/

/** The peer a text names, or undefined when it is no key. */
export function peerKeyOf(text: string): PeerKey | undefined {
  const algorithm = ALGORITHMS.get(text.length)
  if (algorithm === undefined || !HEX.test(text)) return undefined
  const hex = text.toLowerCase()
  return { algorithm, hex, address: algorithm === 'ed25519' ? hex : `${algorithm}:${sha256(hex)}` }
}

/** Bytes of a hex text, or undefined when it is none: digits must come in pairs. */
export function decodeHex(text: string): Uint8Array | undefined {
  return text.length % 2 === 0 && HEX.test(text) ? Buffer.from(text, 'hex') : undefined
}

const sha256 = (hex: string) => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex')
