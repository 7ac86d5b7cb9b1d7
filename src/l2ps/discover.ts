import type { Answer } from '../session/effect.ts'
import { type L2psContext, type RegisteredSession, type Request, reply } from './context.ts'
import type { L2psMember } from './l2ps-member.ts'

/** All peers in the caller's network, the caller included (docs/protocol.md, 4.5). */
export function handleDiscover(
  context: Pick<L2psContext, 'attachments' | 'now'>,
  session: RegisteredSession,
  request: Request
): Answer {
  const { registry } = context.attachments
  const peers = registry.listFor(session.member)
  return reply(context, request, 'discover_response', { peers: keysOf(context, session.member.network, peers) })
}

/** The keys of connected peers, in lower-case hex, by their addresses. */
export function keysOf(
  { attachments }: Pick<L2psContext, 'attachments'>,
  network: string,
  addresses: readonly string[]
): string[] {
  return addresses.map((address) => {
    if (!address.includes(':')) return address // an ed25519 key is its own address
    const [member] = attachments.registry.sessions(network, address) as readonly L2psMember[]
    return member?.key.hex ?? address
  })
}
