import { type Static, Type } from '@sinclair/typebox'
import { isoTime, Time } from '../util/iso-time.ts'
import type { Member } from './member.ts'

export const Window = Type.Object(
  { messages: Type.Integer(), bytes: Type.Integer() },
  { description: 'What was sent and is not receipted yet.' }
)

/** What administrators are shown of a registered session. */
export const SessionFacts = Type.Object({
  connectedAt: Time,
  registeredAt: Time,
  address: Type.String({ description: 'Where the socket comes from.' }),
  receipt: Type.Union([Type.Literal('ack'), Type.Literal('pong'), Type.Literal('none')], {
    description: 'What counts as received: an ack of the application, a pong of its WebSocket stack, or nothing.'
  }),
  window: Window,
  roundTripMs: Type.Union([Type.Number(), Type.Null()], {
    description: 'From the last ping behind messages to its pong; null before the first.'
  }),
  bufferedBytes: Type.Integer({ description: 'Outgoing bytes the system has not taken: the peer does not read.' })
})
export type SessionFacts = Static<typeof SessionFacts>

export const factsOf = ({ session, strength, delivery, roundTripMs }: Member): SessionFacts => ({
  connectedAt: isoTime(session.connectedAt),
  registeredAt: isoTime(session.registeredAt ?? session.connectedAt),
  address: session.address,
  receipt: strength,
  window: delivery.unreceipted,
  roundTripMs: roundTripMs ?? null,
  bufferedBytes: session.writer.bufferedBytes
})
