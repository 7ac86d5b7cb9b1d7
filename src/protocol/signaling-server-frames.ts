import { type TLiteral, Type } from '@sinclair/typebox'
import { SIGNALING_ERRORS, type SignalingErrorType } from './errors.ts'
import { Digest, HasMore, Milliseconds, Sealed, Seq, serverFrame } from './frame.ts'

const Id = (description: string) => Type.String({ description })
const ErrorType = Type.Union(
  Object.keys(SIGNALING_ERRORS).map((name) => Type.Literal(name)) as [TLiteral<SignalingErrorType>]
)

/** What the server sends in the signaling protocol. */
export const SIGNALING_SERVER_FRAMES = [
  serverFrame('register', 'The socket speaks for this client id from now on; the first frame after a registration.', {
    success: Type.Literal(true),
    clientId: Id('As registered')
  }),
  serverFrame('challenge', 'Something fresh to sign with the next register of this socket.', {
    nonce: Type.String({
      pattern: '^[0-9a-f]{64}$',
      'x-allowed': '64 hexadecimal digits',
      description: 'Random, for one register'
    }),
    time: Milliseconds('When it was made, by the clock of the server'),
    seconds: Type.Integer({ description: 'How long it may be answered' })
  }),
  serverFrame('discover', 'Who is connected, the caller too, in the order of their names.', {
    peers: Type.Array(Id('A client id')),
    hasMore: HasMore
  }),
  serverFrame('message', 'A sealed message for this peer.', {
    message: Sealed('The sealed body, unchanged'),
    fromId: Id('The sender'),
    timestamp: Type.Optional(Milliseconds('When it was accepted; only when it had waited')),
    seq: Seq
  }),
  serverFrame('message_queued', 'The recipient is away: the message is stored and will be delivered.', {
    targetId: Id('The recipient'),
    status: Type.Literal('offline'),
    message: Type.String()
  }),
  serverFrame('public_key_response', 'The encryption key of a peer, here or away.', {
    peerId: Id('Whose key'),
    publicKey: Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { description: 'Byte values' }),
    ownerChangedAt: Type.Optional(
      Milliseconds('Since when the id is that of another key than before; only where it changed its owner')
    )
  }),
  serverFrame('record_response', 'The audit records of a message.', {
    fromId: Id('The sender'),
    targetId: Id('The recipient'),
    digest: Digest('SHA-256 of the text of the body'),
    records: Type.Array(Digest('Of a record: what `/audit/signaling/proof/` is asked with'), {
      maxItems: 16,
      description: 'Oldest first; several where the message was sent again, none before the log is signed'
    })
  }),
  serverFrame('peer_disconnected', 'A peer left.', { peerId: Id('Who') }),
  serverFrame('server_question', 'Asked back by debug_question.', {
    questionId: Type.String(),
    question: Type.Object({ text: Type.String() })
  }),
  serverFrame('error', 'A request was not carried out.', {
    errorType: ErrorType,
    details: Type.String({ minLength: 1, description: 'What to tell a person' }),
    timestamp: Type.String({ description: 'ISO 8601' })
  })
] as const
