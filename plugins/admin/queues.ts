import type { FastifyInstance } from 'fastify'
import type { AdminContext } from './api/context.ts'
import {
  EntriesQuery,
  listQueues,
  NetworkPurgeParams,
  PurgeAnswer,
  PurgeQuery,
  purgeNetwork,
  purgeQueue,
  QueueAnswer,
  QueueParams,
  QueuesAnswer,
  QueuesQuery,
  RequeueAnswer,
  RequeueBody,
  requeue,
  showQueue
} from './api/queues.ts'
import { described, problems, typed } from './typed.ts'

export function queueRoutes(admin: FastifyInstance, context: AdminContext): void {
  const app = typed(admin)
  const list = {
    ...described('queues', 'List mailboxes that hold something'),
    querystring: QueuesQuery,
    response: { 200: QueuesAnswer, ...problems }
  }
  app.get('/queues', { schema: list }, ({ query }) => listQueues(context, query))

  const show = {
    ...described('queues', 'Show a mailbox', 'Metadata of its messages, oldest first; never a body.'),
    params: QueueParams,
    querystring: EntriesQuery,
    response: { 200: QueueAnswer, ...problems }
  }
  app.get('/queues/:network/:recipient', { schema: show }, ({ params, query }) => showQueue(context, params, query))

  const purge = {
    ...described(
      'queues',
      'Delete waiting messages',
      'For ever: in history they are given up. What is accepted after the request began stays, and so does what is being received at that moment.'
    ),
    params: QueueParams,
    querystring: PurgeQuery,
    response: { 200: PurgeAnswer, ...problems }
  }
  app.delete('/queues/:network/:recipient', { schema: purge }, ({ params, query }) =>
    purgeQueue(context, params, query)
  )

  const purgeMany = {
    ...described(
      'queues',
      'Delete waiting messages of a whole network',
      'Those of one sender, or of some age; one of the two must be said.'
    ),
    params: NetworkPurgeParams,
    querystring: PurgeQuery,
    response: { 200: PurgeAnswer, ...problems }
  }
  app.delete('/queues/:network', { schema: purgeMany }, ({ params, query }) => purgeNetwork(context, params, query))

  const again = {
    ...described(
      'queues',
      'Queue waiting messages again',
      'They get a fresh time to live and keep their places. Withheld ones that are freed go at once to a recipient that is here.'
    ),
    params: QueueParams,
    body: RequeueBody,
    response: { 200: RequeueAnswer, ...problems }
  }
  app.post('/queues/:network/:recipient/requeue', { schema: again }, ({ params, body }) =>
    requeue(context, params, body)
  )
}
