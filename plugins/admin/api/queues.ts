import { type Static, Type } from '@sinclair/typebox'
import {
  listEntries,
  listMailboxes,
  type MailboxSummary,
  summarizeMailbox
} from '../../../src/store/mailbox-overview.ts'
import { type Amount, countEntries, purgeEntries, requeueEntries, type Selection } from '../../../src/store/purge.ts'
import { type AdminContext, addressIn, isKnownNetwork } from './context.ts'
import { NextCursor, PageQuery, placeOf, readPage } from './pages.ts'
import { ProblemError } from './problems.ts'
import { NetworkName, PeerName, Time } from './schemas.ts'

/** Entries of one transaction: how long a mailbox's senders may have to wait for it. */
const STEP = 2_000

export const QueueParams = Type.Object({
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
    description: "Messages sealed for a key that is not the recipient's present one; they are not delivered."
  })
})
export const QueuesQuery = Type.Object(
  {
    network: Type.Optional(NetworkName),
    recipient: Type.Optional(PeerName('Only mailboxes of this recipient, as the database calls it.')),
    ...PageQuery
  },
  { additionalProperties: false }
)
export const QueuesAnswer = Type.Object(
  { queues: Type.Array(Queue), nextCursor: NextCursor },
  { description: 'Mailboxes that hold something, in the order of their names.' }
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
    digest: Type.Union([Type.String(), Type.Null()], { description: 'messageHash (L2PS).' })
  },
  { description: 'What is known of a message; never its body.' }
)
export const EntriesQuery = Type.Object(PageQuery, { additionalProperties: false })
export const QueueAnswer = Type.Object(
  {
    ...Queue.properties,
    entries: Type.Array(QueueEntryFacts),
    total: Type.Integer({ description: 'Messages in the mailbox.' }),
    nextCursor: NextCursor
  },
  { description: 'A mailbox; an empty one holds nothing.' }
)

export const PurgeQuery = Type.Object(
  {
    sender: Type.Optional(PeerName('Only what this sender sent.')),
    olderThanSeconds: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: 'Only what was accepted so long ago.' })
    ),
    dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Only count.' }))
  },
  { additionalProperties: false }
)
export const NetworkPurgeParams = Type.Object({ network: NetworkName })
export const PurgeAnswer = Type.Object(
  { purged: AmountAnswer, dryRun: Type.Boolean() },
  { description: 'What was deleted; with `dryRun`, what would be.' }
)

export const RequeueBody = Type.Object(
  {
    sender: Type.Optional(PeerName('Only what this sender sent.')),
    withheld: Type.Optional(
      Type.Boolean({
        default: false,
        description: "Only messages that are withheld; they are freed for the recipient's present key."
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

const Place = Type.Tuple([NetworkName, PeerName('The last recipient.')])

export async function listQueues(context: AdminContext, query: Static<typeof QueuesQuery>) {
  const { database } = context
  const { network, recipient } = query
  const isAddress = network !== undefined && recipient !== undefined
  const filter = { network, recipient: isAddress ? addressIn(network, recipient) : recipient }
  const after = placeOf(query.cursor, Place)
  const { items, nextCursor } = await readPage(
    query.limit,
    (limit) => database.within(listMailboxes(database.sql, filter, after, limit)),
    (last) => [last.network, last.recipient]
  )
  return { queues: items.map((summary) => queueOf(summary, context.now())), nextCursor }
}

const queueOf = ({ oldestAcceptedAt, ...summary }: MailboxSummary, now: number): Static<typeof Queue> => ({
  ...summary,
  oldestAcceptedAt: oldestAcceptedAt === null ? null : new Date(oldestAcceptedAt).toISOString(),
  oldestAgeSeconds: oldestAcceptedAt === null ? null : Math.max(0, now - oldestAcceptedAt) / 1_000
})

export async function showQueue(
  context: AdminContext,
  params: Box,
  { cursor, limit: most }: Static<typeof EntriesQuery>
): Promise<Static<typeof QueueAnswer>> {
  const { database } = context
  const box = boxOf(params)
  const [afterSeq] = placeOf(cursor, Type.Tuple([Type.Integer({ minimum: 0 })])) ?? [0]
  const summary = await database.within(summarizeMailbox(database.sql, box.network, box.recipient))
  refuseUnknown(context, box, summary)
  const { items, nextCursor } = await readPage(
    most,
    (limit) => database.within(listEntries(database.sql, box, afterSeq, limit)),
    (last) => [last.seq]
  )
  const entries = items.map((entry) => ({
    ...entry,
    acceptedAt: new Date(entry.acceptedAt).toISOString(),
    expiresAt: new Date(entry.expiresAt).toISOString()
  }))
  return { ...queueOf(summary, context.now()), entries, total: summary.entries, nextCursor }
}

/** An empty mailbox is an empty mailbox; in a network nobody knows it is a slip of the pen. */
function refuseUnknown(context: AdminContext, { network }: Where, { entries }: Amount): void {
  if (entries === 0 && !isKnownNetwork(context, network)) {
    throw new ProblemError('not-found', 'no such network, and nothing waits in it')
  }
}

const boxOf = ({ network, recipient }: Box): Box => ({ network, recipient: addressIn(network, recipient) })

export const purgeQueue = (context: AdminContext, params: Box, query: Static<typeof PurgeQuery>) =>
  purge(context, boxOf(params), query)

/** The same over every mailbox of a network; nobody empties all of them by leaving a filter out. */
export async function purgeNetwork(
  context: AdminContext,
  { network }: Static<typeof NetworkPurgeParams>,
  query: Static<typeof PurgeQuery>
) {
  if (query.sender !== undefined || query.olderThanSeconds !== undefined) return purge(context, { network }, query)
  throw new ProblemError('invalid-request', 'say whose messages, or how old: sender, olderThanSeconds', 'query')
}

/** Deletes waiting messages in steps, each with its record, or counts them. */
async function purge(context: AdminContext, box: Where, query: Static<typeof PurgeQuery>) {
  const { database, now } = context
  const { olderThanSeconds = 0, dryRun = false } = query
  const sender = query.sender === undefined ? undefined : addressIn(box.network, query.sender)
  const selection = { ...box, sender, acceptedUntil: now() - olderThanSeconds * 1_000 }
  const purged = dryRun
    ? await database.within(countEntries(database.sql, selection))
    : await purgeAll(context, selection)
  refuseUnknown(context, box, purged)
  return { purged, dryRun }
}

export async function purgeAll({ database, now }: AdminContext, selection: Selection): Promise<Amount> {
  const sum = { entries: 0, bytes: 0 }
  for (;;) {
    const step = await database.within(purgeEntries(database.sql, selection, STEP, now()))
    sum.entries += step.entries
    sum.bytes += step.bytes
    if (step.entries < STEP) return sum
  }
}

/** Gives waiting messages a fresh time to live; what is freed goes to its recipient at once when it is here. */
export async function requeue(context: AdminContext, params: Box, body: Static<typeof RequeueBody>) {
  const { database, presence, ttlMs } = context
  const now = context.now()
  const box = boxOf(params)
  const sender = body.sender === undefined ? undefined : addressIn(box.network, body.sender)
  const change = { ...box, sender, withheld: body.withheld ?? false, expiresAt: now + ttlMs, acceptedUntil: now }
  let [entries, afterSeq] = [0, 0]
  for (let isMore = true; isMore; ) {
    const places = await database.within(requeueEntries(database.sql, change, { afterSeq, limit: STEP, now }))
    if (change.withheld) presence.free(box.network, box.recipient, places)
    entries += places.length
    afterSeq = places.at(-1) ?? afterSeq
    isMore = places.length === STEP
  }
  if (entries === 0) refuseUnknown(context, box, { entries, bytes: 0 })
  return { requeued: { entries } }
}
