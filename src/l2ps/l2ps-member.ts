import type { Attachments, OpenedMailbox } from '../delivery/attachments.ts'
import { type FrameOptions, Member } from '../delivery/member.ts'
import { encodeMessage, encodePeerJoined, encodePeerLeft } from '../protocol/l2ps.ts'
import type { PeerKey } from '../protocol/peer-key.ts'
import type { Session } from '../session/session.ts'
import type { QueueEntry } from '../store/queue-entry.ts'
import type { KeyNames } from './key-names.ts'

/** What its sessions need of their protocol. */
interface L2psWith {
  readonly names: KeyNames
  readonly attachments: Attachments<Member>
  now(): number
}

/** A registered session of an L2PS network. */
export class L2psMember extends Member {
  readonly key: PeerKey
  readonly #with: L2psWith

  constructor(
    session: Session<L2psMember>,
    mailbox: OpenedMailbox,
    peer: { readonly key: PeerKey; readonly features: readonly string[] },
    context: L2psWith
  ) {
    const facts = { name: peer.key.hex, keyId: null, features: peer.features }
    super(session as unknown as Session<Member>, mailbox, facts, context.attachments)
    this.key = peer.key
    this.#with = context
  }

  protected override prepare(page: readonly QueueEntry[]): Promise<void> {
    return this.#with.names.learn(
      this.network,
      page.map(({ sender }) => sender)
    )
  }

  override encode({ sender, sealed, digest }: QueueEntry, { isBacklog, seq }: FrameOptions): string {
    const { names, now } = this.#with
    return encodeMessage({ from: names.keyOf(sender), sealed, messageHash: digest!, offline: isBacklog, seq }, now())
  }

  override announcement(change: 'joined' | 'left'): string | undefined {
    return (change === 'joined' ? encodePeerJoined : encodePeerLeft)(this.key.hex, this.#with.now())
  }
}
