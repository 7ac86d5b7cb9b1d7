import type { Attachments, OpenedMailbox } from '../delivery/attachments.ts'
import { Member } from '../delivery/member.ts'
import { encodeMessage, encodePeerJoined, encodePeerLeft } from '../protocol/l2ps.ts'
import type { PeerKey } from '../protocol/peer-key.ts'
import type { Session } from '../session/session.ts'
import type { KeyNames } from './key-names.ts'

/** A registered session of an L2PS network. */
export class L2psMember extends Member {
  readonly key: PeerKey

  constructor(
    session: Session<L2psMember>,
    mailbox: OpenedMailbox,
    peer: { readonly key: PeerKey; readonly features: readonly string[] },
    { names, attachments, now }: { names: KeyNames; attachments: Attachments<Member>; now: () => number }
  ) {
    const { network } = mailbox
    super(
      session as unknown as Session<Member>,
      mailbox,
      {
        name: peer.key.hex,
        keyId: null,
        features: peer.features,
        prepare: (page) =>
          names.learn(
            network,
            page.map((entry) => entry.sender)
          ),
        encode: ({ sender, sealed, digest }, { isBacklog, seq }) =>
          encodeMessage({ from: names.keyOf(sender), sealed, messageHash: digest!, offline: isBacklog, seq }, now()),
        announcement: (change) => (change === 'joined' ? encodePeerJoined : encodePeerLeft)(peer.key.hex, now())
      },
      attachments
    )
    this.key = peer.key
  }
}
