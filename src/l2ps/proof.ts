import { addressKey } from '../limits/address.ts'
import type { PeerKey } from '../protocol/peer-key.ts'
import type { Answer } from '../session/effect.ts'
import { decodeHex } from '../util/encoding.ts'
import { type L2psContext, type L2psSession, type Request, refuse } from './context.ts'

const encoder = new TextEncoder()

/** What a proof must sign: `{purpose}:{subject}:{timestamp}`, with the timestamp of its frame. */
export interface ProofClaim {
  readonly key: PeerKey
  readonly purpose: 'register' | 'history'
  readonly subject: string
  /** Hex. */
  readonly proof: string
}

/**
 * Why a proof does not hold, or undefined when it does: it must be fresh, and its signature must cover the text as UTF-8
 * (docs/protocol.md, 4.9). What is cheap to check comes first.
 */
export async function refuseProof(
  context: Pick<L2psContext, 'now' | 'proofWindowMs' | 'failedProofs' | 'proofs'>,
  { key, purpose, subject, proof }: ProofClaim,
  session: Pick<L2psSession, 'address' | 'pay'>,
  request: Request
): Promise<Answer | undefined> {
  const { timestamp } = request
  if (typeof timestamp !== 'number' || !Number.isSafeInteger(timestamp)) {
    return refuse(context, 'INVALID_MESSAGE', 'Missing or invalid timestamp (ms since 1970)', request)
  }
  const now = context.now()
  if (Math.abs(timestamp - now) > context.proofWindowMs) {
    const window = context.proofWindowMs / 1_000
    const detail = `Proof is not fresh: its timestamp must be within ${window} s of ${now}`
    return refuse(context, 'INVALID_PROOF', detail, request)
  }
  const signature = decodeHex(proof)
  if (signature === undefined) return refuse(context, 'INVALID_PROOF', 'Signature verification failed', request)
  const from = addressKey(session.address)
  if (!context.failedProofs.allows(from, key.address)) {
    const detail = 'Too many failed proofs of this key from this address. Please try again in a minute.'
    return refuse(context, 'RATE_LIMITED', detail, request)
  }
  const message = encoder.encode(`${purpose}:${subject}:${timestamp}`)
  session.pay('signature')
  const { algorithm, hex } = key
  const verdict = await context.proofs.verify({ algorithm, publicKey: decodeHex(hex)!, message, signature }, from)
  if (verdict === 'valid') return undefined
  if (verdict === 'busy') {
    const detail = 'The server is busy with proofs. Please try again.'
    return { ...refuse(context, 'RATE_LIMITED', detail, request), isOurFault: true }
  }
  context.failedProofs.count(from, key.address)
  return refuse(context, 'INVALID_PROOF', 'Signature verification failed', request)
}
