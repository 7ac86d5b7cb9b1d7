import { createHash } from 'node:crypto'
import { LruMap } from 'toad-cache'
import { FairQueue } from '../util/fair-queue.ts'
import type { Proof, Verdict } from './proof.ts'
import type { ProofVerifier } from './verifier.ts'

/** Proofs that are known to hold; of more the one that was shown longest ago is forgotten. */
const KNOWN_PROOFS = 20_000

export interface FairVerifierOptions {
  /** Proofs that are checked at once: ed25519, and the others. */
  readonly atOnce: { readonly ed25519: number; readonly others: number }
  /** Proofs that may wait for their check. */
  readonly queueLength: number
}

export interface FairVerifier extends ProofVerifier {
  /** `from`: whose turn it takes, an address. */
  verify(proof: Proof, from?: string): Promise<Verdict>
}

/**
 * A verifier that is fair to addresses and checks the same proof once: a proof that held is remembered, and one that is being
 * checked is not checked again beside that. What failed is not remembered.
 */
export function createFairVerifier(verifier: ProofVerifier, options: FairVerifierOptions): FairVerifier {
  const { atOnce, queueLength } = options
  const known = new LruMap<true>(KNOWN_PROOFS)
  const underWay = new Map<string, Promise<Verdict>>()
  const queues = {
    ed25519: new FairQueue(atOnce.ed25519, queueLength),
    others: new FairQueue(atOnce.others, queueLength)
  }

  let isClosed = false

  async function check(proof: Proof, id: string): Promise<Verdict> {
    if (known.get(id)) return 'valid' // held meanwhile
    const same = underWay.get(id)
    if (same !== undefined) return same
    const checking = verifier.verify(proof)
    underWay.set(id, checking)
    const verdict = await checking
    underWay.delete(id)
    if (verdict === 'valid') known.set(id, true)
    return verdict
  }

  return {
    async verify(proof, from = '') {
      if (isClosed) return 'busy'
      const id = idOf(proof)
      if (known.get(id)) return 'valid'
      const queue = proof.algorithm === 'ed25519' ? queues.ed25519 : queues.others
      return (await queue.run(from, () => check(proof, id))) ?? 'busy'
    },
    close: () => {
      isClosed = true
      return verifier.close()
    }
  }
}

/** Each part with its length, so that no two proofs have the same bytes. */
function idOf({ algorithm, publicKey, message, signature }: Proof): string {
  const hash = createHash('sha256').update(`${algorithm} ${publicKey.length} ${message.length} ${signature.length} `)
  return hash.update(publicKey).update(message).update(signature).digest('base64')
}
