import type { FastifyReply, FastifyRequest } from 'fastify'
import { PROBLEM_TYPE, PROBLEMS, type ProblemName, problemBody } from './api/problems.ts'

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

/** Fastify refuses such a path, whatever it begins with, before it looks for a route. */
export const refuseBadPath = (_error: Error, request: FastifyRequest, reply: FastifyReply) =>
  sendProblem(reply, request, 'invalid-request', 'the path is not percent-encoded UTF-8, or a part of it is too long')
