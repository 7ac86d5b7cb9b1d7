import type { Attachments, OpenedMailbox } from '../delivery/attachments.ts'
import { type FrameOptions, Member } from '../delivery/member.ts'
import { encodeMessage, encodePeerDisconnected } from '../protocol/signaling.ts'
import type { QueueEntry } from '../store/queue-entry.ts'
import type { SignalingSession } from './context.ts'
import { sealedFault } from './message.ts'

export interface SignalingPeer {
  readonly keyId: string | null
  readonly features: readonly string[]
  /** Its client opens messages with an ML-KEM key, and rejects what is not sealed as the SDK does it. */
  readonly opensSealed: boolean
}

/** A registered session of signaling. */
export class SignalingMember extends Member {
  readonly #opensSealed: boolean

  constructor(
    session: SignalingSession,
    mailbox: OpenedMailbox,
    { keyId, features, opensSealed }: SignalingPeer,
    attachments: Attachments<Member>
  ) {
    super(session, mailbox, { name: mailbox.recipient, keyId, features }, attachments)
    this.#opensSealed = opensSealed
  }

  /** What was sealed for a known key was checked when it was accepted. */
  protected override canOpen({ keyId, sealed }: QueueEntry): boolean {
    return keyId !== null || !this.#opensSealed || sealedFault(JSON.parse(sealed)) === undefined
  }

  override encode({ sealed, sender, acceptedAt }: QueueEntry, { isBacklog, seq }: FrameOptions): string {
    return encodeMessage(sealed, sender, { timestamp: isBacklog ? acceptedAt : undefined, seq })
  }

  override announcement(change: 'joined' | 'left'): string | undefined {
    return change === 'left' ? encodePeerDisconnected(this.peer) : undefined
  }
}
