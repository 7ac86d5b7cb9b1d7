// Checks proofs: signatures of a peer's key over a message's bytes as they are.
import { availableParallelism } from 'node:os'
import { lengthsFit } from './algorithms.ts'
import { verifyEd25519 } from './ed25519.ts'
import { hasNativeMlDsa, verifyMlDsa } from './ml-dsa.ts'
import type { Proof, Verdict } from './proof.ts'
import { createWorkerPool } from './worker-pool.ts'

export type { Proof, Verdict } from './proof.ts'

export interface ProofVerifier {
  /** Never rejects: wrong lengths and nonsense are `invalid`, and so is an algorithm we do not know. */
  verify(proof: Proof): Promise<Verdict>
  /** Ends the workers at once; what they had under way, and every proof after that, is `busy`. */
  close(): Promise<void>
}

export interface ProofVerifierOptions {
  /** Threads for Falcon, and ML-DSA where the runtime does not have it; 0: one less than the processors, at least one. */
  workers: number
  /** Proofs that may wait for a worker; one more is `busy`. Of those node:crypto checks, as many may be under way. */
  queueLength: number
  /** Longest a peer waits for a verdict. */
  answerWithinMs?: number
  /** Checks ML-DSA in a worker although the runtime has it: for tests that compare. */
  mlDsaInWorker?: boolean
  /** Another module for the threads to run: for tests of threads that misbehave. */
  workerFile?: string
}

/** A whole frame has no more characters than that (docs/protocol.md, 1.2), so neither has what it signs. */
const LONGEST_MESSAGE_BYTES = 262_144

/**
 * Checks proofs off the event loop: Ed25519 in libuv's thread pool, and there ML-DSA-65 too where the runtime has it; else
 * it is checked like Falcon-512 in worker threads, which start with the first such proof. The signed bytes are the
 * message's own, for all three algorithms, without the text conversion of the SDK's verifier (docs/protocol.md, 2.1).
 */
export function createProofVerifier(options: ProofVerifierOptions): ProofVerifier {
  const { queueLength, answerWithinMs = 10_000, mlDsaInWorker = !hasNativeMlDsa, workerFile } = options
  const workers = options.workers || Math.max(1, availableParallelism() - 1)
  const pool = createWorkerPool({ workers, answerWithinMs, ...(workerFile ? { filename: workerFile } : {}) })
  const checkNative = bounded(queueLength, answerWithinMs, async ({ algorithm, publicKey, message, signature }) => {
    const verifies = algorithm === 'ed25519' ? verifyEd25519 : verifyMlDsa
    return (await verifies(publicKey, message, signature)) ? 'valid' : 'invalid'
  })
  const checkInWorker = bounded(queueLength + workers, answerWithinMs, (proof) => pool.check(proof))
  let closed = false

  return {
    async verify(proof) {
      if (closed) return 'busy'
      const { algorithm, publicKey, message, signature } = proof
      if (!lengthsFit(algorithm, publicKey, signature) || message.length > LONGEST_MESSAGE_BYTES) return 'invalid'
      const isNative = algorithm === 'ed25519' || (algorithm === 'ml-dsa' && !mlDsaInWorker)
      return isNative ? checkNative(proof) : checkInWorker(proof)
    },
    async close() {
      closed = true
      await pool.close()
    }
  }
}

/** At most `limit` checks at once, each answered in time; a check that fails for reasons of ours is `busy`. */
function bounded(limit: number, answerWithinMs: number, check: (proof: Proof) => Promise<Verdict>) {
  let underWay = 0
  return (proof: Proof): Promise<Verdict> => {
    if (underWay >= limit) return Promise.resolve('busy')
    underWay += 1
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, answerWithinMs, 'busy')
      const settle = (verdict: Verdict) => {
        underWay -= 1
        clearTimeout(timer)
        resolve(verdict)
      }
      check(proof).then(settle, () => settle('busy'))
    })
  }
}
