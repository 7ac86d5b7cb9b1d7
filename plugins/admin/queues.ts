// /admin/queues: messages that wait for their recipients.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { lowered } from '../../src/presence/names.ts'
import {
  countMailboxes,
  listEntries,
  listMailboxes,
  MAILBOX_ORDERS,
  type MailboxFilter,
  type MailboxSummary,
  sortMailboxes,
  summarizeMailbox
} from '../../src/store/mailbox-overview.ts'
import { type Amount, countEntries, purgeEntries, requeueEntries, type Selection } from '../../src/store/purge.ts'
import { Time } from '../../src/util/iso-time.ts'
import { ProblemError } from './problems.ts'
import {
  inTime,
  NextCursor,
  type Page,
  PageQuery,
  placeOf,
  readPage,
  SearchQuery,
  sortedPlace,
  sortOf,
  sortQuery,
  Total,
  TotalQuery,
  totalInTime
} from './requests.ts'
import {
  type AdminApp,
  type AdminContext,
  addressIn,
  described,
  isKnownNetwork,
  NetworkName,
  PeerName,
  problems,
  typed
} from './resource.ts'

/** Entries of one transaction: how long a mailbox's senders may have to wait for it. */
const STEP = 2_000

const QueueParams = Type.Object({
  network: NetworkName,
  recipient: PeerName('Whose mailbox: a client id, or an address in the L2PS network.')
})

const Amounts = {
  entries: Type.Integer({ description: 'Messages.' }),
  bytes: Type.Integer({ description: 'Of their sealed bodies.' })
}
export const AmountAnswer = Type.Object(Amounts)

export const Queue = Type.Object({
  network: Type.String(),
  recipient: Type.String(),
  ...Amounts,
  oldestAcceptedAt: Type.Union([Time, Type.Null()]),
  oldestAgeSeconds: Type.Union([Type.Number(), Type.Null()]),
  withheld: Type.Integer({
    description: "Messages that the recipient's present key or client cannot open; they are not delivered."
  })
})
const QUEUE_ORDERS = ['name', ...MAILBOX_ORDERS] as const

const QueuesQuery = Type.Object(
  {
    network: Type.Optional(NetworkName),
    recipient: Type.Optional(PeerName('Only mailboxes of this recipient, as the database calls it.')),
    ...SearchQuery,
    ...sortQuery(QUEUE_ORDERS),
    ...TotalQuery,
    ...PageQuery
  },
  { additionalProperties: false }
)
const QueuesAnswer = Type.Object(
  { queues: Type.Array(Queue), nextCursor: NextCursor, total: Type.Optional(Total) },
  { description: 'Mailboxes that hold something, by `sort`; `total` where it was asked for.' }
)
export const QueueEntryFacts = Type.Object(
  {
    seq: Type.Integer({ description: 'Place in the mailbox.' }),
    sender: Type.String(),
    bytes: Type.Integer(),
    acceptedAt: Time,
    expiresAt: Time,
    keyId: Type.Union([Type.String(), Type.Null()], { description: 'Encryption key it was sealed for.' }),
    withheld: Type.Boolean(),
    isMalformed: Type.Boolean({
      description:
        "Withheld since its body is none that the recipient's client could open; else it was sealed for another key."
    }),
    digest: Type.Union([Type.String(), Type.Null()], { description: 'messageHash (L2PS).' }),
    deliveries: Type.Integer({
      description: 'How often it was sent to a session that ended without a receipt. At MAX_DELIVERIES it is set aside.'
    })
  },
  { description: 'What is known of a message; never its body.' }
)
export const QueueAnswer = Type.Object(
  {
    ...Queue.properties,
    entries: Type.Array(QueueEntryFacts),
    total: Type.Integer({ description: 'Messages in the mailbox.' }),
    nextCursor: NextCursor
  },
  { description: 'A mailbox; an empty one holds nothing.' }
)
const PurgeQuery = Type.Object(
  {
    sender: Type.Optional(PeerName('Only what this sender sent.')),
    olderThanSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'Only what was accepted so long ago.' })
    ),
    dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Only count.' }))
  },
  { additionalProperties: false }
)
export const PurgeAnswer = Type.Object(
  { purged: AmountAnswer, dryRun: Type.Boolean() },
  { description: 'What was deleted; with `dryRun`, what would be.' }
)
const RequeueBody = Type.Object(
  {
    sender: Type.Optional(PeerName('Only what this sender sent.')),
    withheld: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          "Only messages that are withheld; they are freed for the recipient's present key. A malformed one is " +
          'delivered if the client of that key can open it, and withheld again if not.'
      })
    )
  },
  { additionalProperties: false }
)
export const RequeueAnswer = Type.Object(
  { requeued: Type.Object({ entries: Amounts.entries }) },
  { description: 'How much was queued again.' }
)

type Box = Static<typeof QueueParams>
type Where = Pick<Selection, 'network' | 'recipient'>

export function queueRoutes(admin: FastifyInstance, context: AdminContext): void {
  for (const route of [listQueues, showQueue, purgeQueue, purgeEntry, purgeNetwork, requeue])
    route(typed(admin), context)
}

const Place = Type.Tuple([NetworkName, PeerName('The last recipient.')])

/** Longest that counting or sorting every mailbox may take, in ms. */
const ALL_MS = 2_000

function listQueues(app: AdminApp, context: AdminContext): void {
  const { database, now } = context
  const schema = {
    ...described(
      'queues',
      'List mailboxes that hold something',
      'Sorted by anything but the name, every waiting message is read: 503 where that takes more than 2 s.'
    ),
    querystring: QueuesQuery,
    response: { 200: QueuesAnswer, ...problems }
  }
  app.get('/queues', { schema }, async ({ query }) => {
    const { network, recipient, search } = query
    const isAddress = network !== undefined && recipient !== undefined
    const filter = {
      network,
      recipient: isAddress ? addressIn(network, recipient) : recipient,
      search: search === undefined ? undefined : lowered(search)
    }
    const list = /^-?name$/.test(query.sort ?? 'name') ? queuesByName : sortedQueues
    const { items, nextCursor, total } = await list(context, filter, query)
    const queues = items.map((summary) => queueOf(summary, now()))
    if (query.total !== true) return { queues, nextCursor }
    const count = () => database.within(countMailboxes(database.sql, filter, ALL_MS))
    return { queues, nextCursor, total: total ?? (await totalInTime(count)) }
  })
}

type ListQuery = Static<typeof QueuesQuery>
type Found = Page<MailboxSummary> & { readonly total?: number | undefined }

const queuesByName = ({ database }: AdminContext, filter: MailboxFilter, query: ListQuery): Promise<Found> => {
  const after = placeOf(query.cursor, Place)
  return readPage(
    query.limit,
    (limit) => database.within(listMailboxes(database.sql, filter, after, limit, query.sort === '-name')),
    (last) => [last.network, last.recipient]
  )
}

async function sortedQueues({ database }: AdminContext, filter: MailboxFilter, query: ListQuery): Promise<Found> {
  const order = sortOf(query.sort, MAILBOX_ORDERS)
  const place = sortedPlace(query)
  const after = place && ([Number(place.value), place.network, place.peer] as const)
  const page = await readPage(
    query.limit,
    (limit) => inTime(() => database.within(sortMailboxes(database.sql, filter, order, after, { limit, ms: ALL_MS }))),
    (last) => [query.sort, last.value, last.network, last.recipient]
  )
  const items = page.items.map(({ value: _, total: __, ...summary }) => summary)
  return { ...page, items, total: page.items[0]?.total }
}

const queueOf = ({ oldestAcceptedAt, ...summary }: MailboxSummary, now: number): Static<typeof Queue> => ({
  ...summary,
  oldestAcceptedAt: oldestAcceptedAt === null ? null : new Date(oldestAcceptedAt).toISOString(),
  oldestAgeSeconds: oldestAcceptedAt === null ? null : Math.max(0, now - oldestAcceptedAt) / 1_000
})

const EntryPlace = Type.Tuple([Type.Integer({ minimum: 0 })])

function showQueue(app: AdminApp, context: AdminContext): void {
  const { database, now } = context
  const schema = {
    ...described('queues', 'Show a mailbox', 'Metadata of its messages, oldest first; never a body.'),
    params: QueueParams,
    querystring: Type.Object(PageQuery, { additionalProperties: false }),
    response: { 200: QueueAnswer, ...problems }
  }
  app.get('/queues/:network/:recipient', { schema }, async ({ params, query }) => {
    const box = boxOf(params)
    const [afterSeq] = placeOf(query.cursor, EntryPlace) ?? [0]
    const summary = await database.within(summarizeMailbox(database.sql, box.network, box.recipient))
    refuseUnknown(context, box, summary)
    const { items, nextCursor } = await readPage(
      query.limit,
      (limit) => database.within(listEntries(database.sql, box, afterSeq, limit)),
      (last) => [last.seq]
    )
    const entries = items.map((entry) => ({
      ...entry,
      acceptedAt: new Date(entry.acceptedAt).toISOString(),
      expiresAt: new Date(entry.expiresAt).toISOString()
    }))
    return { ...queueOf(summary, now()), entries, total: summary.entries, nextCursor }
  })
}

/** A mailbox of a known network may be empty; nothing in an unknown network means that the name is misspelt. */
function refuseUnknown(context: AdminContext, { network }: Where, { entries }: Amount): void {
  if (entries === 0 && !isKnownNetwork(context, network)) {
    throw new ProblemError('not-found', 'no such network, and nothing waits in it')
  }
}

const boxOf = ({ network, recipient }: Box): Box => ({ network, recipient: addressIn(network, recipient) })

function purgeQueue(app: AdminApp, context: AdminContext): void {
  const schema = {
    ...described(
      'queues',
      'Delete waiting messages',
      'It cannot be undone; in history they count as given up. What is accepted after the request began ' +
        'stays, and so does what is being received at that moment.'
    ),
    params: QueueParams,
    querystring: PurgeQuery,
    response: { 200: PurgeAnswer, ...problems }
  }
  app.delete('/queues/:network/:recipient', { schema }, ({ params, query, holder }) =>
    purge(context, boxOf(params), query, holder?.name)
  )
}

function purgeEntry(app: AdminApp, context: AdminContext): void {
  const schema = {
    ...described('queues', 'Delete one waiting message', 'For a message that its recipient cannot take, by its place.'),
    params: Type.Object({ ...QueueParams.properties, seq: Type.Integer({ minimum: 1, description: 'Its place.' }) }),
    response: { 200: PurgeAnswer, ...problems }
  }
  app.delete('/queues/:network/:recipient/:seq', { schema }, async ({ params: { seq, ...params }, holder }) => {
    const purged = await purgeAll(context, { ...boxOf(params), seq }, holder?.name)
    if (purged.entries === 0) throw new ProblemError('not-found', 'no such message waits in this mailbox')
    return { purged, dryRun: false }
  })
}

/** A filter must be given, so that leaving it out by mistake does not empty every mailbox. */
function purgeNetwork(app: AdminApp, context: AdminContext): void {
  const schema = {
    ...described(
      'queues',
      'Delete waiting messages of a whole network',
      'Messages of one sender, or of some age: at least one of the two filters must be given.'
    ),
    params: Type.Object({ network: NetworkName }),
    querystring: PurgeQuery,
    response: { 200: PurgeAnswer, ...problems }
  }
  app.delete('/queues/:network', { schema }, async ({ params: { network }, query, holder }) => {
    if (query.sender !== undefined || query.olderThanSeconds !== undefined) {
      return purge(context, { network }, query, holder?.name)
    }
    throw new ProblemError('invalid-request', 'say whose messages, or how old: sender, olderThanSeconds', 'query')
  })
}

/** Deletes waiting messages in steps, each with its record, or counts them. */
async function purge(context: AdminContext, box: Where, query: Static<typeof PurgeQuery>, by: string | undefined) {
  const { database, now } = context
  const { olderThanSeconds = 0, dryRun = false } = query
  const sender = query.sender === undefined ? undefined : addressIn(box.network, query.sender)
  const selection = { ...box, sender, acceptedUntil: now() - olderThanSeconds * 1_000 }
  const purged = dryRun
    ? await database.within(countEntries(database.sql, selection))
    : await purgeAll(context, selection, by)
  refuseUnknown(context, box, purged)
  return { purged, dryRun }
}

export async function purgeAll(
  { database, mailboxes, now }: AdminContext,
  selection: Selection,
  by: string | undefined
): Promise<Amount> {
  const sum = { entries: 0, bytes: 0 }
  for (;;) {
    const gone = await database.within(purgeEntries(database.sql, selection, STEP, now(), by))
    mailboxes.gone(gone)
    sum.entries += gone.length
    for (const { bytes } of gone) sum.bytes += bytes
    if (gone.length < STEP) return sum
  }
}

function requeue(app: AdminApp, context: AdminContext): void {
  const { database, presence, cluster, ttlMs } = context
  const schema = {
    ...described(
      'queues',
      'Queue waiting messages again',
      'They get a fresh time to live and keep their places. Withheld ones that are freed go at once ' +
        'to a connected recipient.'
    ),
    params: QueueParams,
    body: RequeueBody,
    response: { 200: RequeueAnswer, ...problems }
  }
  app.post('/queues/:network/:recipient/requeue', { schema }, async ({ params, body, holder }) => {
    const now = context.now()
    const box = boxOf(params)
    const sender = body.sender === undefined ? undefined : addressIn(box.network, body.sender)
    const change = { ...box, sender, withheld: body.withheld ?? false, expiresAt: now + ttlMs, acceptedUntil: now }
    let [entries, afterSeq] = [0, 0]
    for (let isMore = true; isMore; ) {
      const places = await database.within(
        requeueEntries(database.sql, change, { afterSeq, limit: STEP, now, by: holder?.name })
      )
      for (const { delivery } of presence.sessions(box.network, box.recipient)) delivery.reread(...places)
      if (places.length > 0) cluster?.tell({ kind: 'reread', ...box, seqs: places })
      entries += places.length
      afterSeq = places.at(-1) ?? afterSeq
      isMore = places.length === STEP
    }
    if (entries === 0) refuseUnknown(context, box, { entries, bytes: 0 })
    return { requeued: { entries } }
  })
}
