import { randomUUID } from 'node:crypto'
import type { PayloadOf } from '../protocol/frame.ts'
import {
  encodeDiscovered,
  encodePublicKey,
  encodeServerQuestion,
  type RequestPublicKeyFrame,
  SIGNALING_NETWORK
} from '../protocol/signaling.ts'
import { answer, type Effect } from '../session/effect.ts'
import type { Identity } from '../store/identity.ts'
import { refuse, type SignalingContext } from './context.ts'

type RequestPublicKey = PayloadOf<typeof RequestPublicKeyFrame>

/** Everybody who is connected, the caller too (signaling protocol 2.2). */
export const handleDiscover = (context: SignalingContext): Effect =>
  answer(encodeDiscovered(context.presence.peers(SIGNALING_NETWORK)))

/** The encryption key last registered under a name, also while its owner is away (protocol.md section 11). */
export function handleRequestPublicKey(context: SignalingContext, { targetId }: RequestPublicKey): Effect {
  const known = context.identities.peek(SIGNALING_NETWORK, targetId)
  if (known !== undefined) return answerKey(targetId, known.identity)
  const until = context.identities.get(SIGNALING_NETWORK, targetId).then(
    (identity) => answerKey(targetId, identity),
    (error: unknown) => {
      context.log.error({ err: error }, 'public key not looked up')
      return refuse('INTERNAL_ERROR', 'Failed to look up the public key. Please try again.')
    }
  )
  return { kind: 'wait', until }
}

function answerKey(targetId: string, identity: Identity | undefined): Effect {
  if (identity === undefined) return refuse('PEER_NOT_FOUND', `Target peer ${targetId} not found`)
  return answer(encodePublicKey(targetId, identity.encryptionKey))
}

/** Asks the caller something, so that an application can try its handling of server questions. */
export const handleDebugQuestion = (): Effect =>
  answer(encodeServerQuestion(randomUUID(), 'Is this connection working?'))
