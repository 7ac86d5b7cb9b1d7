// /admin/events: who did what, newest first.
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { ADMIN_ACTIONS, listAdminEvents } from '../../src/store/admin-event.ts'
import { Time } from '../../src/util/iso-time.ts'
import { NextCursor, PageQuery, placeOf, readPage } from './requests.ts'
import { type AdminContext, addressIn, described, NetworkName, PeerName, problems, typed } from './resource.ts'

const Count = (description: string) => Type.Union([Type.Integer(), Type.Null()], { description })
const Name = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

export const EventAnswer = Type.Object({
  id: Type.Integer({ description: 'Grows with time.' }),
  at: Time,
  token: Name('The name of the token; null: done before names were kept.'),
  action: Type.String({ description: `What was done: ${ADMIN_ACTIONS.join(', ')}; a newer relay may know more.` }),
  network: Type.String(),
  peer: Name('Whom it was done to, or whose mailbox; null: the network.'),
  sender: Name('Of a purge: only what this sender had sent.'),
  entries: Count('Messages.'),
  bytes: Count('Of their sealed bodies.')
})
const EventsAnswer = Type.Object(
  { events: Type.Array(EventAnswer), nextCursor: NextCursor },
  { description: 'What administrators changed, newest first. A long purge is several events.' }
)
const EventsQuery = Type.Object(
  {
    network: Type.Optional(NetworkName),
    peer: Type.Optional(PeerName('Only what was done to this peer or its mailbox.')),
    token: Type.Optional(
      Type.String({
        maxLength: 64,
        pattern: '^[^\\u0000]*$', // Postgres knows no such character
        'x-allowed': 'the name of a token, of at most 64 characters',
        description: 'Only what this token did.'
      })
    ),
    action: Type.Optional(
      Type.String({
        pattern: `^(${ADMIN_ACTIONS.join('|')})$`,
        'x-allowed': `one of ${ADMIN_ACTIONS.join(', ')}`,
        description: 'Only this action.'
      })
    ),
    ...PageQuery
  },
  { additionalProperties: false }
)

const Place = Type.Tuple([Type.Integer({ minimum: 1 })])

export function eventRoutes(admin: FastifyInstance, { database }: AdminContext): void {
  const schema = {
    ...described('events', 'List what administrators did', 'The newest 100,000 actions are kept.'),
    querystring: EventsQuery,
    response: { 200: EventsAnswer, ...problems }
  }
  typed(admin).get('/events', { schema }, async ({ query }) => {
    const { network, token, action } = query
    const peer = network === undefined || query.peer === undefined ? query.peer : addressIn(network, query.peer)
    const [before] = placeOf(query.cursor, Place) ?? []
    const { items, nextCursor } = await readPage(
      query.limit,
      (limit) => database.within(listAdminEvents(database.sql, { network, peer, token, action }, before, limit)),
      (last) => [last.id]
    )
    const events = items.map((event) => ({ ...event, at: new Date(event.at).toISOString() }))
    return { events, nextCursor }
  })
}
