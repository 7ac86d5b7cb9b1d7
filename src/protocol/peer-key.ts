import { createHash } from 'node:crypto'

/** The name of a signature algorithm, as the wire spells it. Source: docs/protocol.md, 2.1. */
export type ProofAlgorithm = 'ed25519' | 'ml-dsa' | 'falcon'

/** A peer of an L2PS network: the public key it is known by. */
export interface PeerKey {
  readonly algorithm: ProofAlgorithm
  /** In lower-case hex: one spelling for one key, whatever its letter case on the wire. */
  readonly hex: string
  /** Its name in the database: an ed25519 key itself, else algorithm and SHA-256 (a longer key does not fit an index). */
  readonly address: string
}

/** The algorithm of a key, by its number of hex digits (docs/protocol.md, 4.9). */
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

/** Why a text is no key: a sentence that begins as the protocol has it (docs/protocol.md, 4.9). `name`: of the member. */
export function keyFault(text: string, name: string): string {
  const sentence = `Invalid ${name} format (expected hex)`
  if (/^0x/i.test(text)) return `${sentence}: leave out the 0x`
  if (!HEX.test(text)) return sentence
  const lengths = Array.from(ALGORITHMS, ([digits, algorithm]) => `${digits} (${algorithm})`)
  return `${sentence}: a key has ${lengths.join(' or ')} digits, this one ${text.length}`
}

const sha256 = (hex: string) => createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex')
