// plugins/proof-verification.ts: checks the signatures peers prove their keys with.
import { availableParallelism } from 'node:os'
import fp from 'fastify-plugin'
import { PROOF_ALGORITHMS } from '../src/crypto/algorithms.ts'
import { createFairVerifier, type FairVerifier } from '../src/crypto/fair-verifier.ts'
import { createProofVerifier } from '../src/crypto/verifier.ts'
import type { RelayMetrics } from '../src/observability/metrics.ts'

/** As many as keep the threads of libuv busy. */
const ED25519_AT_ONCE = 16

export interface ProofVerificationOptions {
  /** Threads for ML-DSA and Falcon proofs; 0: one less than the processors, at least one. */
  workers: number
  /** Proofs that may wait for a worker; one more is refused. */
  queueLength: number
}

declare module 'fastify' {
  interface FastifyInstance {
    proofs: FairVerifier
  }
}

export default fp<ProofVerificationOptions>(
  async (app, { workers, queueLength }) => {
    const threads = workers || Math.max(1, availableParallelism() - 1)
    const verifier = createProofVerifier({ workers: threads, queueLength })
    const atOnce = { ed25519: ED25519_AT_ONCE, others: 2 * threads }
    const proofs = measured(createFairVerifier(verifier, { atOnce, queueLength }), app.metrics)
    app.decorate('proofs', proofs)
    app.addHook('onClose', () => proofs.close())
  },
  { name: 'proof-verification', fastify: '5.x', dependencies: ['metrics'] }
)

/** The same verifier, which counts and times what it is asked. */
function measured(verifier: FairVerifier, { proofs, proofSeconds, proofsUnderWay }: RelayMetrics): FairVerifier {
  const series = new Map(
    PROOF_ALGORITHMS.map(({ name: algorithm }) => {
      const underWay = proofsUnderWay.at({ algorithm })
      underWay.value = 0
      return [
        algorithm,
        { results: proofs.by('result', { algorithm }), seconds: proofSeconds.at({ algorithm }), underWay }
      ]
    })
  )
  return {
    verify: async (proof, from) => {
      const counted = series.get(proof.algorithm)
      if (counted === undefined) return verifier.verify(proof, from)
      const { results, seconds, underWay } = counted
      const began = performance.now()
      underWay.value! += 1
      const verdict = await verifier.verify(proof, from) // never rejects
      underWay.value! -= 1
      results[verdict].inc()
      if (verdict !== 'busy') seconds.observe((performance.now() - began) / 1_000)
      return verdict
    },
    close: () => verifier.close()
  }
}
