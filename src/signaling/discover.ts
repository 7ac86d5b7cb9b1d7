import { encodeDiscovered, SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { type Answer, answer } from '../session/effect.ts'
import type { SignalingContext } from './context.ts'

/** Everybody who is connected, the caller too (docs/protocol.md, 2.2). */
export const handleDiscover = ({ attachments }: Pick<SignalingContext, 'attachments'>): Answer =>
  answer(encodeDiscovered(attachments.registry.peers(SIGNALING_NETWORK)))
