import { type Static, Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { PROBLEM_TYPE, PROBLEMS, type ProblemName, problemType } from '../../src/protocol/problems.ts'

/** The body of a refusal (RFC 9457). */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Names the problem; a path on this server that explains it.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String({ description: 'What is wrong with this request.' })),
    field: Type.Optional(Type.String({ description: 'Which part of the request, like `query/limit`.' })),
    instance: Type.Optional(Type.String({ description: 'The path that was asked for.' }))
  },
  { description: 'What went wrong (RFC 9457).' }
)

/** Thrown by a handler to refuse its request. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly problem: ProblemName
  readonly field: string | undefined
  /** For Fastify. */
  readonly statusCode: number

  constructor(problem: ProblemName, detail: string, field?: string) {
    super(detail)
    this.problem = problem
    this.field = field
    this.statusCode = PROBLEMS[problem].status
  }
}

export function problemBody(
  problem: ProblemName,
  about: { detail?: string | undefined; field?: string | undefined; instance?: string | undefined } = {}
): Static<typeof Problem> {
  const { status, title } = PROBLEMS[problem]
  return { type: problemType(problem), title, status, ...about } as Static<typeof Problem>
}

/** Answers that the request is refused, and why. */
export function sendProblem(
  reply: FastifyReply,
  request: FastifyRequest,
  problem: ProblemName,
  detail?: string,
  field?: string
): FastifyReply {
  const [instance] = request.url.split('?') // a query may hold what is secret
  const body = problemBody(problem, { detail, field, instance })
  return reply.code(PROBLEMS[problem].status).type(PROBLEM_TYPE).send(body)
}

/** Answers for every path that Fastify refuses before it looks for a route, below /admin or not. */
export const refuseBadPath = (_error: Error, request: FastifyRequest, reply: FastifyReply) =>
  sendProblem(reply, request, 'invalid-request', 'the path is not percent-encoded UTF-8, or a part of it is too long')
