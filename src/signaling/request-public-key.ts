import type { PayloadOf } from '../protocol/frame.ts'
import { encodePublicKey, type RequestPublicKeyFrame, SIGNALING_NETWORK } from '../protocol/signaling.ts'
import type { Answer, Effect } from '../session/effect.ts'
import type { Identity } from '../store/identity.ts'
import { type RegisteredSession, refuse, type SignalingContext } from './context.ts'

/** The encryption key last registered under a name, also while its owner is away (docs/protocol.md, 2.4). */
export function handleRequestPublicKey(
  { identities, log }: Pick<SignalingContext, 'identities' | 'log'>,
  { targetId }: PayloadOf<typeof RequestPublicKeyFrame>,
  session: Pick<RegisteredSession, 'pay'>
): Effect {
  const known = identities.peek(SIGNALING_NETWORK, targetId)
  if (known !== undefined) return answerKey(targetId, known.identity)
  session.pay('query')
  return identities.get(SIGNALING_NETWORK, targetId).then(
    (identity) => answerKey(targetId, identity),
    (error: unknown) => {
      log.error({ err: error }, 'public key not looked up')
      return refuse('INTERNAL_ERROR', 'Failed to look up the public key. Please try again.')
    }
  )
}

function answerKey(targetId: string, identity: Identity | undefined): Answer {
  if (identity === undefined) return refuse('PEER_NOT_FOUND', `Target peer ${targetId} not found`)
  // The official client asks for a key only to send a message, which it seals first: that may take it a while.
  return { frame: encodePublicKey(targetId, identity.encryptionKey, identity.ownerChangedAt), isFollowed: true }
}
