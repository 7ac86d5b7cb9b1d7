import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyTypeProvider } from 'fastify'
import { PROBLEM_TYPE, Problem } from './api/problems.ts'
import { NoQuery } from './api/schemas.ts'

/** Handlers know their requests, and what they may answer, by the TypeBox schemas of their route. */
interface TypeBox extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

export const typed = (app: FastifyInstance) => app.withTypeProvider<TypeBox>()

const refusal = (description: string) => ({ description, content: { [PROBLEM_TYPE]: { schema: Problem } } })

/** What every route of the administration may answer beside its own. */
export const problems = {
  '4xx': refusal('The request is at fault: `type` says how.'),
  '5xx': refusal('The server is: try again later.')
}

/** What every route says of itself; one that can be asked something replaces `querystring`. */
export const described = (tag: string, summary: string, description?: string) => ({
  tags: [tag],
  summary,
  security: [{ bearer: [] }],
  querystring: NoQuery,
  ...(description === undefined ? {} : { description })
})
