import type { PayloadOf } from '../protocol/frame.ts'
import type { RequestPublicKeyFrame } from '../protocol/l2ps.ts'
import { peerKeyOf } from '../protocol/peer-key.ts'
import type { Effect } from '../session/effect.ts'
import { failed, type L2psContext, type RegisteredSession, type Request, reply } from './context.ts'

/** The key of a peer that is or was in the caller's network, null for any other text (docs/protocol.md, 4.5). */
export function handleRequestPublicKey(
  context: Pick<L2psContext, 'attachments' | 'names' | 'now' | 'log'>,
  { targetId }: PayloadOf<typeof RequestPublicKeyFrame>,
  session: RegisteredSession,
  request: Request
): Effect {
  const { network } = session.member
  const key = peerKeyOf(targetId)
  const respond = (publicKey: string | null) => reply(context, request, 'public_key_response', { targetId, publicKey })
  if (key === undefined) return respond(null)
  if (context.attachments.registry.sessions(network, key.address).length > 0) return respond(key.hex)
  session.pay('query')
  return context.names
    .hasEntered(network, key)
    .then((hasEntered) => respond(hasEntered ? key.hex : null), failed(context, request, 'key not looked up'))
}
