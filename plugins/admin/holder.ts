// /admin/token: who asks.
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { ROLES } from '../../src/http/tokens.ts'
import { described, problems, typed } from './resource.ts'

const HolderAnswer = Type.Object(
  {
    name: Type.String({ description: 'As the events name it.' }),
    role: Type.Union(
      ROLES.map((role) => Type.Literal(role)),
      { description: 'admin may do everything, viewer only read.' }
    )
  },
  { description: 'The token of this request.' }
)

export function holderRoutes(admin: FastifyInstance): void {
  const schema = { ...described('tokens', 'Show whose token this is'), response: { 200: HolderAnswer, ...problems } }
  typed(admin).get('/token', { schema }, async ({ holder }) => holder!)
}
