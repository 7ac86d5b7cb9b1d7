import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { asciiJson, parsed } from './hand-over.ts'

/** Ids and names of other versions are texts, too. */
const Name = Type.String({ maxLength: 4_096 })
const Natural = Type.Integer({ minimum: 0 })

/** Once a second, from each relay to all: it lives, and how much it has sent to whom. */
const Beat = Type.Object({
  kind: Type.Literal('beat'),
  from: Name,
  sent: Type.Record(Type.String(), Natural),
  /** Does Postgres answer it? */
  database: Type.Boolean(),
  /** What waits in all mailboxes, where this relay counts it. */
  queues: Type.Optional(Type.Unknown())
})
/** Peers came to their first relay or left their last one: network, peer, how others call it, whether it came. */
const Presence = Type.Object({
  kind: Type.Literal('presence'),
  from: Name,
  changes: Type.Array(Type.Tuple([Name, Name, Name, Type.Boolean()]))
})
/** The owner of a name registered with another key, or the name was released: what is remembered of it is not true. */
const Renamed = Type.Object({ kind: Type.Literal('identity'), from: Name, network: Name, peer: Name })
/** Entries expired or were purged: place, network, recipient, bytes. */
const Gone = Type.Object({
  kind: Type.Literal('gone'),
  from: Name,
  entries: Type.Array(Type.Tuple([Natural, Name, Name, Natural]))
})
/** Entries that were set aside are to be sent again. */
const Reread = Type.Object({
  kind: Type.Literal('reread'),
  from: Name,
  network: Name,
  recipient: Name,
  seqs: Type.Array(Natural)
})
const Message = Type.Union([Beat, Presence, Renamed, Gone, Reread])
export type ClusterMessage = Static<typeof Message>
const checkedMessage = TypeCompiler.Compile(Message)

/** Does the socket of this client id still answer? Answered by 'alive' or 'gone'. */
const Alive = Type.Object({ ask: Type.Literal('alive'), network: Name, peer: Name, epoch: Natural })
/** The sessions of these peers: answered by a list of lists. */
const Sessions = Type.Object({ ask: Type.Literal('sessions'), peers: Type.Array(Type.Tuple([Name, Name])) })
/** Close the sessions of this peer: answered by their number. */
const Close = Type.Object({ ask: Type.Literal('close'), network: Name, peer: Name })

/** The first peers in an order that only their relay knows, after a place in it; `isFirst`: or at that place. */
const Top = Type.Object({
  ask: Type.Literal('top'),
  network: Type.Optional(Name),
  search: Type.Optional(Name),
  key: Name,
  isDescending: Type.Boolean(),
  after: Type.Optional(Type.Tuple([Name, Name, Type.Number()])),
  isFirst: Type.Optional(Type.Boolean()),
  limit: Natural
})

const Question = Type.Union([Alive, Sessions, Close, Top])
export type ClusterQuestion = Static<typeof Question>
const checkedQuestion = TypeCompiler.Compile(Question)

export const encode = (value: ClusterMessage | ClusterQuestion | unknown): Buffer => Buffer.from(asciiJson(value))

/** Undefined: it is none that this version understands, and is passed over. */
export function decodeMessage(data: Buffer): ClusterMessage | undefined {
  const value = parsed(data.toString('utf8'))
  return checkedMessage.Check(value) ? value : undefined
}

export function decodeQuestion(data: Buffer): ClusterQuestion | undefined {
  const value = parsed(data.toString('utf8'))
  return checkedQuestion.Check(value) ? value : undefined
}

export const decodeAnswer = (data: Buffer): unknown => parsed(data.toString('utf8'))
