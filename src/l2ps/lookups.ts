import type { PayloadOf } from '../protocol/frame.ts'
import type { RequestPublicKeyFrame } from '../protocol/l2ps.ts'
import type { Effect } from '../session/effect.ts'
import { signingKeysOf } from '../store/identity.ts'
import { failed, type L2psContext, type RegisteredSession, type Request, reply } from './context.ts'
import { peerKeyOf } from './keys.ts'

/** Everybody in the caller's network, the caller too (L2PS messaging, 4.5). */
export function handleDiscover(context: L2psContext, session: RegisteredSession, request: Request): Effect {
  const { network } = session.member
  const peers = context.presence.peers(network).map((address) => context.names.keyOf(network, address))
  return reply(context, request, 'discover_response', { peers })
}

/** The key of a peer that is or was in the caller's network, null for any other text (protocol.md section 11). */
export function handleRequestPublicKey(
  context: L2psContext,
  { targetId }: PayloadOf<typeof RequestPublicKeyFrame>,
  session: RegisteredSession,
  request: Request
): Effect {
  const { network } = session.member
  const key = peerKeyOf(targetId)
  const respond = (publicKey: string | null) => reply(context, request, 'public_key_response', { targetId, publicKey })
  if (key === undefined) return respond(null)
  if (context.presence.members(network, key.address).length > 0) return respond(key.hex)
  const { database } = context
  const known = database.ask(() => signingKeysOf(database.sql, network, [key.address]))
  const until = known.then(
    (keys) => respond(keys.length > 0 ? key.hex : null),
    failed(context, request, 'key not looked up')
  )
  return { kind: 'wait', until }
}
