// What the event loop hands to a worker thread.
import type { ProofAlgorithm } from './algorithms.ts'

/** One proof on its way to a worker; every array owns its buffer, which moves along. */
export interface WorkerTask {
  algorithm: ProofAlgorithm
  publicKey: Uint8Array
  message: Uint8Array
  signature: Uint8Array
  /** When the asker stops waiting, on the clock of `monotonicMs`. */
  staleAtMs: number
}

/** A clock all threads share, in milliseconds; wall clock changes do not touch it. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000_000n)
