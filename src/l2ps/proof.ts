import type { Refusal } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import { type L2psContext, type Request, refuse } from './context.ts'
import { decodeHex, type PeerKey } from './keys.ts'

const encoder = new TextEncoder()

/**
 * Why a proof does not hold, or undefined when it does: it must be fresh, and its signature must cover `signed` as UTF-8.
 * What is cheap to check comes first.
 */
export async function checkProof(
  context: L2psContext,
  claim: { key: PeerKey; signed: string; proof: string },
  session: Session,
  request: Request
): Promise<Refusal | undefined> {
  const { timestamp } = request
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp)) {
    return refuse(context, 'INVALID_MESSAGE', 'Missing or invalid timestamp (ms since 1970)', request)
  }
  const now = context.now()
  if (Math.abs(timestamp - now) > context.proofWindowMs) {
    const window = context.proofWindowMs / 1_000
    return refuse(
      context,
      'INVALID_PROOF',
      `Proof is not fresh: its timestamp must be within ${window} s of ${now}`,
      request
    )
  }
  const signature = decodeHex(claim.proof)
  if (signature === undefined) return refuse(context, 'INVALID_PROOF', 'Signature verification failed', request)
  if (!(await context.failedProofs.allows(session.address))) {
    return refuse(
      context,
      'RATE_LIMITED',
      'Too many failed proofs from this address. Please try again in a minute.',
      request
    )
  }
  const { algorithm, hex } = claim.key
  const proof = { algorithm, publicKey: decodeHex(hex)!, message: encoder.encode(claim.signed), signature }
  const verdict = await context.proofs.verify(proof)
  if (verdict === 'valid') return undefined
  if (verdict === 'busy')
    return refuse(context, 'RATE_LIMITED', 'The server is busy with proofs. Please try again.', request)
  await context.failedProofs.count(session.address)
  return refuse(context, 'INVALID_PROOF', 'Signature verification failed', request)
}
