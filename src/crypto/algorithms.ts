// The signature algorithms a proof may use, and the lengths their parts must have.
import type { ProofAlgorithm } from '../protocol/peer-key.ts'

/** What is fixed about an algorithm: lengths in bytes, both ends of a range included. */
export interface AlgorithmSpec {
  readonly name: ProofAlgorithm
  readonly publicKeyLength: number
  readonly shortestSignature: number
  readonly longestSignature: number
}

/**
 * A Falcon-512 signature as falcon-sign (`falcon512_n3_v1`) writes it: length of what follows the nonce (2 bytes,
 * big-endian), nonce (40), header 0x29 (1), compressed polynomial. The message is not inside. Each of the polynomial's
 * 512 coefficients takes at least 9 bits, so 576 bytes at least; 690 in all is the package's own maximum.
 * The minimum matters: given a polynomial of no bytes, falcon-sign 1.0.4 goes on with the one an earlier call
 * left on its stack, and so accepts the first 43 bytes of a signature it has just seen whole.
 */
const FALCON_SHORTEST = 2 + 40 + 1 + (512 * 9) / 8
const FALCON_LONGEST = 690

/** Every algorithm a proof may use: RFC 8032 Ed25519, FIPS 204 ML-DSA-65 with an empty context, Falcon-512. */
export const PROOF_ALGORITHMS: readonly AlgorithmSpec[] = [
  { name: 'ed25519', publicKeyLength: 32, shortestSignature: 64, longestSignature: 64 },
  { name: 'ml-dsa', publicKeyLength: 1952, shortestSignature: 3309, longestSignature: 3309 },
  { name: 'falcon', publicKeyLength: 897, shortestSignature: FALCON_SHORTEST, longestSignature: FALCON_LONGEST }
]

const BY_NAME: ReadonlyMap<string, AlgorithmSpec> = new Map(PROOF_ALGORITHMS.map((spec) => [spec.name, spec]))

/** The algorithm of that name, or `undefined`, also for names that every object has (`constructor`). */
export function algorithmNamed(name: string): AlgorithmSpec | undefined {
  return BY_NAME.get(name)
}

/** Whether key and signature have lengths this algorithm can produce; false also for an unknown name. */
export function lengthsFit(name: string, publicKey: Uint8Array, signature: Uint8Array): boolean {
  const spec = BY_NAME.get(name)
  return (
    spec !== undefined &&
    publicKey.length === spec.publicKeyLength &&
    signature.length >= spec.shortestSignature &&
    signature.length <= spec.longestSignature
  )
}
