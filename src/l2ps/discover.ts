import type { Page } from '../presence/names.ts'
import type { PayloadOf } from '../protocol/frame.ts'
import type { DiscoverFrame } from '../protocol/l2ps.ts'
import { peerKeyOf } from '../protocol/peer-key.ts'
import type { Answer, Effect } from '../session/effect.ts'
import { failed, type L2psContext, type RegisteredSession, type Request, reply } from './context.ts'
import type { L2psMember } from './l2ps-member.ts'

type Context = Pick<L2psContext, 'attachments' | 'names' | 'peersIn' | 'discoverPeers' | 'now' | 'log'>

/** A page of the peers in the caller's network, the caller included (docs/protocol.md, 4.5). */
export function handleDiscover(
  context: Context,
  { after, prefix }: PayloadOf<typeof DiscoverFrame>,
  { member }: RegisteredSession,
  request: Request
): Effect {
  const { registry } = context.attachments
  const moment = registry.moment()
  const give = ({ peers, hasMore }: Page): Answer => {
    registry.listed(member, moment, !hasMore && after === undefined && prefix === undefined)
    const keys = keysOf(context, member.network, peers)
    return reply(context, request, 'discover_response', { peers: keys, hasMore: hasMore || undefined })
  }
  const page = context.peersIn(member.network, {
    after: after && (peerKeyOf(after)?.address ?? after.toLowerCase()),
    prefix: prefix?.toLowerCase(),
    limit: context.discoverPeers
  })
  return page instanceof Promise ? page.then(give, failed(context, request, 'peers not listed')) : give(page)
}

/** Peers of a network without one of them, as they were at a moment in the order of changes. */
export interface Others extends Page {
  readonly moment: number
}

/**
 * Whom a new session is told of. A registration does not fail because its network cannot be listed: then nobody is, and
 * there are more.
 */
export function othersThan(context: Context, network: string, address: string): Others | Promise<Others> {
  const { peersIn, discoverPeers, attachments, log } = context
  const moment = attachments.registry.moment()
  const without = ({ peers, hasMore }: Page): Others => {
    const others = peers.filter((peer) => peer !== address)
    return { peers: others.slice(0, discoverPeers), hasMore: hasMore || others.length > discoverPeers, moment }
  }
  const page = peersIn(network, { limit: discoverPeers + 1 })
  if (!(page instanceof Promise)) return without(page)
  return page.then(without, (error: unknown) => {
    log.error({ err: error }, 'peers not listed')
    return { peers: [], hasMore: true, moment }
  })
}

/** The keys of connected peers, in lower-case hex, by their addresses. */
export function keysOf(
  { attachments, names }: Pick<L2psContext, 'attachments' | 'names'>,
  network: string,
  addresses: readonly string[]
): string[] {
  return addresses.map((address) => {
    if (!address.includes(':')) return address // an ed25519 key is its own address
    const [member] = attachments.registry.sessions(network, address) as readonly L2psMember[]
    return member?.key.hex ?? names.keyOf(address)
  })
}
