// The keys of a peer: one to sign with, and a key pair that others seal messages to.
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { toBase64 } from './base64.ts'
import { ed25519Key } from './ed25519.ts'

/** Bytes of a seed: 32 for the signing key, then 64 (`d||z` of FIPS 203) for the ML-KEM-768 key pair. */
export const SEED_BYTES = 96
const SIGNING_SEED_BYTES = 32

export type SigningAlgorithm = 'ml-dsa' | 'ed25519'

/** The `verification` object of a `register` frame. Every field but the first is standard base64. */
export interface Verification {
  algorithm: SigningAlgorithm
  serializedSignedData: string
  serializedPublicKey: string
  serializedMessage: string
}

/** A signing key. The server pins the public key to a client id the first time that id registers. */
export interface Signer {
  readonly algorithm: SigningAlgorithm
  readonly signingPublicKey: Uint8Array
  /** Signs the bytes exactly as they are: ML-DSA-65 deterministically with an empty context, or ed25519 (RFC 8032). */
  sign(message: Uint8Array): Promise<Uint8Array>
  /** Proves that the holder of the signing key announces `publicKey`: the `verification` of `register`. */
  proofOf(publicKey: Uint8Array): Promise<Verification>
}

export interface Identity extends Signer {
  /** The key others seal messages to; `register` announces it. ML-KEM-768: 1184 bytes. */
  readonly publicKey: Uint8Array
  /** Opens what was sealed to `publicKey`. Never leaves this object. ML-KEM-768: 2400 bytes. */
  readonly secretKey: Uint8Array
}

export interface IdentityOptions {
  /** Default `ml-dsa`, which is what the official SDK uses. */
  algorithm?: SigningAlgorithm
  /** {@link SEED_BYTES} secret bytes from which all keys are made; keep them to return as the same peer. */
  seed?: Uint8Array
}

/** Makes a new identity, or the same one again from its seed. Throws RangeError on a seed of another length. */
export async function createIdentity(options: IdentityOptions = {}): Promise<Identity> {
  const seed = options.seed ?? crypto.getRandomValues(new Uint8Array(SEED_BYTES))
  if (seed.length !== SEED_BYTES) throw new RangeError(`An identity seed has ${SEED_BYTES} bytes, not ${seed.length}`)
  const signer = await createSigner(options.algorithm ?? 'ml-dsa', seed.slice(0, SIGNING_SEED_BYTES))
  const { publicKey, secretKey } = ml_kem768.keygen(seed.slice(SIGNING_SEED_BYTES))
  return { ...signer, publicKey, secretKey }
}

/** Makes only the signing key, from a seed of 32 bytes. */
export const createSigner = (algorithm: SigningAlgorithm, seed: Uint8Array): Promise<Signer> =>
  algorithm === 'ml-dsa' ? createMlDsaSigner(seed) : createEd25519Signer(seed)

/** The same for ed25519 alone: an application without ML-DSA is smaller by 8 kB. */
export async function createEd25519Signer(seed: Uint8Array): Promise<Signer> {
  const { publicKey, sign } = await ed25519Key(seed)
  return signer('ed25519', publicKey, sign)
}

/** The same for ML-DSA-65 alone. */
export async function createMlDsaSigner(seed: Uint8Array): Promise<Signer> {
  const { publicKey, secretKey } = ml_dsa65.keygen(seed)
  return signer('ml-dsa', publicKey, async (message) => ml_dsa65.sign(message, secretKey, { extraEntropy: false }))
}

/** The `verification` of a message. */
export async function signed(
  { algorithm, signingPublicKey, sign }: Omit<Signer, 'proofOf'>,
  message: Uint8Array
): Promise<Verification> {
  return {
    algorithm,
    serializedSignedData: toBase64(await sign(message)),
    serializedPublicKey: toBase64(signingPublicKey),
    serializedMessage: toBase64(message)
  }
}

function signer(algorithm: SigningAlgorithm, signingPublicKey: Uint8Array, sign: Signer['sign']): Signer {
  const proofOf = (publicKey: Uint8Array) => signed({ algorithm, signingPublicKey, sign }, publicKey)
  return { algorithm, signingPublicKey, sign, proofOf }
}
