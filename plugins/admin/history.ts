// /admin/history: the last hour, day or week, for charts.
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { type HistoryRow, readHistory, readRejected } from '../../src/store/stats-minute.ts'
import { Time } from '../../src/util/iso-time.ts'
import { type AdminContext, described, problems, typed } from './resource.ts'

const MINUTE_MS = 60_000

/** Minutes of a span, and of one point in it. */
const SPANS = { hour: [60, 1], day: [1_440, 10], week: [10_080, 60] } as const
type Span = keyof typeof SPANS

const Rate = (description: string) => Type.Number({ description: `${description} A second.` })
const Ms = (description: string) =>
  Type.Union([Type.Number(), Type.Null()], { description: `${description} In ms; null: no message.` })

export const HistoryAnswer = Type.Object(
  {
    span: Type.Union((Object.keys(SPANS) as Span[]).map((span) => Type.Literal(span))),
    stepSeconds: Type.Integer({ description: 'What one point stands for.' }),
    points: Type.Array(
      Type.Object({
        at: Time,
        accepted: Rate('Messages accepted.'),
        delivered: Rate('Messages received.'),
        refused: Rate('Frames answered with an error.'),
        rejected: Type.Record(Type.String(), Type.Number(), { description: 'The same by code. A second.' }),
        expired: Rate('Messages that expired.'),
        bytes: Rate('Bytes of received frames.'),
        sessions: Type.Number({ description: 'Registered sessions, on average.' }),
        peers: Type.Number({ description: 'Connected peers, on average.' }),
        waiting: Type.Number({ description: 'Waiting messages, on average.' }),
        waitingBytes: Type.Number({ description: 'Bytes of their bodies, on average.' }),
        lagP99: Type.Number({ description: 'Event loop lag, 99th percentile, at worst. In ms.' }),
        acceptP50: Ms('From a message to the end of its commit, median of the worst minute.'),
        acceptP99: Ms('The same, 99th percentile.'),
        deliveryP50: Ms('From an accepted message to its receipt, median of the worst minute.'),
        deliveryP99: Ms('The same, 99th percentile.')
      }),
      { description: 'Oldest first. Time without a point: the server did not run.' }
    )
  },
  { description: 'How the server did.' }
)
type Point = Static<typeof HistoryAnswer>['points'][number]

export function historyRoutes(admin: FastifyInstance, { database, now }: AdminContext): void {
  const schema = {
    ...described('stats', 'Show the last hour, day or week', 'From a row a minute, kept for a week.'),
    querystring: Type.Object(
      {
        span: Type.Optional(
          Type.String({
            pattern: `^(${Object.keys(SPANS).join('|')})$`,
            'x-allowed': `one of ${Object.keys(SPANS).join(', ')}`,
            default: 'hour',
            description: 'How far back.'
          })
        )
      },
      { additionalProperties: false }
    ),
    response: { 200: HistoryAnswer, ...problems }
  }
  typed(admin).get('/history', { schema }, async ({ query }) => {
    const span = (query.span ?? 'hour') as Span
    const [minutes, step] = SPANS[span]
    const from = Math.floor((Math.floor(now() / MINUTE_MS) - minutes) / step + 1) * step
    const [rows, rejected] = await Promise.all([
      database.within(readHistory(database.sql, from, step)),
      database.within(readRejected(database.sql, from, step))
    ])
    const points = rows.map((row) => pointOf(row, rejected))
    return { span, stepSeconds: step * 60, points }
  })
}

function pointOf(row: HistoryRow, rejected: readonly { minute: number; code: string; count: number }[]): Point {
  const { minute, minutes, accepted, delivered, refused, expired, bytes, ...same } = row
  const rate = (count: number) => count / (minutes * 60)
  const codes = rejected.filter((one) => one.minute === minute).map(({ code, count }) => [code, rate(count)])
  return {
    at: new Date(minute * MINUTE_MS).toISOString(),
    ...same,
    ...{ accepted: rate(accepted), delivered: rate(delivered), refused: rate(refused), expired: rate(expired) },
    ...{ bytes: rate(bytes), rejected: Object.fromEntries(codes) }
  }
}
