// The frames of each protocol, from the schemas that validate them: for the documents, the metrics and the tests.
import type { ClientFrame, ServerFrame } from './frame.ts'
import * as l2ps from './l2ps.ts'
import { L2PS_SERVER_FRAMES } from './l2ps-server-frames.ts'
import * as signaling from './signaling.ts'
import { SIGNALING_SERVER_FRAMES } from './signaling-server-frames.ts'

export interface ClientFrameDoc {
  readonly frame: Pick<ClientFrame, 'type' | 'payload'>
  readonly summary: string
  /** Types of the frames that may answer it; none: it is never answered. */
  readonly answers: readonly string[]
}

export interface ProtocolDoc {
  readonly name: 'signaling' | 'l2ps'
  readonly title: string
  readonly description: string
  /** Where it is served by default. */
  readonly port: number
  readonly clientFrames: readonly ClientFrameDoc[]
  readonly serverFrames: readonly ServerFrame[]
  /** Do frames carry a requestId, and replies that of their request? */
  readonly hasRequestIds: boolean
}

const doc = (frame: ClientFrameDoc['frame'], summary: string, ...answers: string[]): ClientFrameDoc => ({
  frame,
  summary,
  answers
})

export const PROTOCOLS: readonly ProtocolDoc[] = [
  {
    name: 'signaling',
    title: 'Signaling',
    description: 'An open hub: peers register a client id with a signed proof, find each other, swap keys, and relay.',
    port: 3005,
    hasRequestIds: false,
    clientFrames: [
      doc(signaling.RegisterFrame, 'Claim a client id for this socket.', 'register', 'error'),
      doc(signaling.ChallengeFrame, 'Ask for something fresh to sign with the next register.', 'challenge', 'error'),
      doc(signaling.DiscoverFrame, 'List who is connected.', 'discover', 'error'),
      doc(
        signaling.MessageFrame,
        'Pass one sealed message to a peer. Not answered while the peer is here.',
        'message_queued',
        'error'
      ),
      doc(signaling.RequestPublicKeyFrame, "Ask for a peer's encryption key.", 'public_key_response', 'error'),
      doc(
        signaling.RequestRecordFrame,
        'Ask for the audit records of a message that was sent or received.',
        'record_response',
        'error'
      ),
      doc(signaling.AckFrame, 'The message with this seq, and all before it, arrived.'),
      doc(signaling.DebugQuestionFrame, 'Have the server ask something back.', 'server_question', 'error'),
      doc(signaling.PeerResponseFrame, "The application's answer to a server_question.")
    ],
    serverFrames: SIGNALING_SERVER_FRAMES
  },
  {
    name: 'l2ps',
    title: 'L2PS messaging',
    description: 'The same inside one private network: a key is the name, every message is kept for history.',
    port: 3006,
    hasRequestIds: true,
    clientFrames: [
      doc(l2ps.RegisterFrame, 'Join a network with a key.', 'registered', 'error'),
      doc(
        l2ps.SendFrame,
        'Pass one sealed message to a peer of the network.',
        'message_sent',
        'message_queued',
        'error'
      ),
      doc(l2ps.HistoryFrame, 'A page of a conversation, newest first.', 'history_response', 'error'),
      doc(l2ps.DiscoverFrame, 'List who is here.', 'discover_response', 'error'),
      doc(l2ps.RequestPublicKeyFrame, 'Is a key known in this network?', 'public_key_response', 'error'),
      doc(l2ps.AckFrame, 'The message called so, or the one with this seq and all before it, arrived.')
    ],
    serverFrames: L2PS_SERVER_FRAMES
  }
]
