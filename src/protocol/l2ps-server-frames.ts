import { type TLiteral, Type } from '@sinclair/typebox'
import { L2PS_ERRORS, type L2psErrorCode } from './errors.ts'
import { HasMore, Milliseconds, Sealed, Seq, serverFrame } from './frame.ts'

const Key = (description: string) =>
  Type.String({ pattern: '^[0-9a-fA-F]+$', 'x-allowed': 'hexadecimal digits', description })
const Code = Type.Union(Object.keys(L2PS_ERRORS).map((name) => Type.Literal(name)) as [TLiteral<L2psErrorCode>])
const Status = Type.Union(
  ['delivered', 'queued', 'failed', 'l2ps_pending', 'l2ps_batched', 'l2ps_confirmed'].map((word) => Type.Literal(word)),
  { description: 'What became of the delivery, then how far the audit record is (docs/audit.md)' }
)

/** A message as history has it (docs/protocol.md, 4.4). */
const StoredMessageSchema = Type.Object(
  {
    id: Type.String({ description: 'A uuid' }),
    from: Key('The sender'),
    to: Key('The recipient'),
    messageHash: Type.String(),
    encrypted: Sealed('The sealed body, unchanged'),
    l2psUid: Type.String(),
    l2psTxHash: Type.Union(
      [Type.String({ pattern: '^[0-9a-f]{64}$', 'x-allowed': '64 hexadecimal digits' }), Type.Null()],
      {
        description: 'SHA-256 of its audit record; null until a checkpoint is signed over it'
      }
    ),
    timestamp: Milliseconds('Its place in the conversation'),
    status: Status
  },
  { additionalProperties: false }
)

/** What the server sends in the L2PS protocol. Every frame has `timestamp`; a reply also the `requestId` of its request. */
export const L2PS_SERVER_FRAMES = [
  serverFrame('registered', 'The socket speaks for this key from now on; the first frame after a registration.', {
    success: Type.Literal(true),
    publicKey: Key('As registered'),
    l2psUid: Type.String(),
    onlinePeers: Type.Array(Key('Who else is here')),
    hasMore: HasMore
  }),
  serverFrame('message', 'A sealed message for this peer.', {
    from: Key('The sender'),
    encrypted: Sealed('The sealed body, unchanged'),
    messageHash: Type.String(),
    offline: Type.Boolean({ description: 'Had it waited?' }),
    seq: Seq
  }),
  serverFrame('message_sent', 'Stored, and the recipient is here.', {
    messageHash: Type.String(),
    l2psStatus: Type.Literal('submitted')
  }),
  serverFrame('message_queued', 'Stored, and the recipient is away.', {
    messageHash: Type.String(),
    status: Type.Literal('queued')
  }),
  serverFrame('history_response', 'A page of a conversation, newest first.', {
    messages: Type.Array(StoredMessageSchema),
    hasMore: Type.Boolean()
  }),
  serverFrame('discover_response', 'Who is here, the caller too, in the order of their addresses.', {
    peers: Type.Array(Key('A peer')),
    hasMore: HasMore
  }),
  serverFrame('public_key_response', 'Is a key known in this network?', {
    targetId: Type.String(),
    publicKey: Type.Union([Key('The key'), Type.Null()], { description: 'null: it never registered here' })
  }),
  serverFrame('peer_joined', 'A peer came.', { publicKey: Key('Who') }),
  serverFrame('peer_left', 'A peer left.', { publicKey: Key('Who') }),
  serverFrame('error', 'A request was not carried out.', {
    code: Code,
    message: Type.String({ minLength: 1, description: 'What to tell a person' })
  })
] as const
