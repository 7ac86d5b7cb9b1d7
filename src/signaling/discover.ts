import type { Page } from '../presence/names.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import { type DiscoverFrame, encodeDiscovered, SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { type Answer, answer, type Effect } from '../session/effect.ts'
import { refuse, type SignalingContext } from './context.ts'

/** A page of those who are connected, the caller too (docs/protocol.md, 2.2). */
export function handleDiscover(
  { peersIn, discoverPeers, log }: Pick<SignalingContext, 'peersIn' | 'discoverPeers' | 'log'>,
  { after, prefix }: PayloadOf<typeof DiscoverFrame>
): Effect {
  const give = ({ peers, hasMore }: Page): Answer => answer(encodeDiscovered(peers, hasMore))
  const page = peersIn(SIGNALING_NETWORK, { after, prefix, limit: discoverPeers })
  if (!(page instanceof Promise)) return give(page)
  return page.then(give, (error: unknown) => {
    log.error({ err: error }, 'peers not listed')
    return refuse('INTERNAL_ERROR', 'The server cannot do this now. Please try again.')
  })
}
