// plugins/proof-verification.ts — checks the signatures peers prove their keys with.
import fp from 'fastify-plugin'
import { createProofVerifier, type ProofVerifier } from '../src/proof/verifier.ts'

export interface ProofVerificationOptions {
  /** Threads for ML-DSA and Falcon proofs; 0: one less than the processors, at least one. */
  workers: number
  /** Proofs that may wait for a worker; one more is refused. */
  queueLength: number
}

declare module 'fastify' {
  interface FastifyInstance {
    proofs: ProofVerifier
  }
}

export default fp<ProofVerificationOptions>(
  async (app, { workers, queueLength }) => {
    const proofs = createProofVerifier({ workers, queueLength })
    app.decorate('proofs', proofs)
    app.addHook('onClose', () => proofs.close())
  },
  { name: 'proof-verification', fastify: '5.x' }
)
