import type { FastifyInstance } from 'fastify'
import type { AdminContext } from './api/context.ts'
import { IdentityAnswer, IdentityParams, ReleaseAnswer, releaseName, showIdentity } from './api/identities.ts'
import { ForceQuery } from './api/schemas.ts'
import { described, problems, typed } from './typed.ts'

export function identityRoutes(admin: FastifyInstance, context: AdminContext): void {
  const app = typed(admin)
  const show = {
    ...described('identities', 'Show who owns a name'),
    params: IdentityParams,
    response: { 200: IdentityAnswer, ...problems }
  }
  app.get('/identities/:network/:peer', { schema: show }, ({ params }) => showIdentity(context, params))

  const release = {
    ...described(
      'identities',
      'Release a name',
      'Whoever registers it next owns it. Refused while messages wait for its owner. Its sessions are closed with code 4004.'
    ),
    params: IdentityParams,
    querystring: ForceQuery,
    response: { 200: ReleaseAnswer, ...problems }
  }
  app.delete('/identities/:network/:peer', { schema: release }, ({ params, query }) =>
    releaseName(context, params, query.force ?? false)
  )
}
