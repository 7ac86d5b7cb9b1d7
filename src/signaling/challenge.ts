import type { PayloadOf } from '../protocol/frame.ts'
import { type ChallengeFrame, encodeChallenge } from '../protocol/signaling.ts'
import { answer, type Effect } from '../session/effect.ts'
import { CHALLENGE_SECONDS } from './challenges.ts'
import { refuse, type SignalingContext, type SignalingSession } from './context.ts'

/** Gives the socket something fresh to sign with its next register (docs/protocol.md, 2.9). */
export function handleChallenge(
  { challenges }: Pick<SignalingContext, 'challenges'>,
  { origin }: PayloadOf<typeof ChallengeFrame>,
  session: SignalingSession
): Effect {
  const challenge = challenges.issue(session, origin)
  if (challenge !== undefined) return answer(encodeChallenge(challenge.nonce, challenge.time, CHALLENGE_SECONDS))
  return refuse('INVALID_MESSAGE', `No challenges at ${origin}: PUBLIC_ORIGINS of this server does not name it`)
}
