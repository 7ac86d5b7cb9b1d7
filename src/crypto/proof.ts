// A proof, and the form in which it goes to a worker thread.
import type { ProofAlgorithm } from '../protocol/peer-key.ts'

export interface Proof {
  algorithm: ProofAlgorithm
  publicKey: Uint8Array
  message: Uint8Array
  signature: Uint8Array
}

/** `busy`: too many proofs wait, or no answer came in time; the proof may be right, and may be sent again. */
export type Verdict = 'valid' | 'invalid' | 'busy'

/** One proof on its way to a worker; every array owns its buffer, which is transferred. */
export interface WorkerTask extends Proof {
  /** When the asker stops waiting, on the clock of `monotonicMs`. */
  staleAtMs: number
}

/** A clock all threads share, in milliseconds; wall clock changes do not touch it. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)
