// plugins/identities.ts — who owns which name: what is known of it, and the order in which it is claimed.
import fp from 'fastify-plugin'
import { IdentityCache } from '../src/identity/identity-cache.ts'
import { Claims } from '../src/identity/registration.ts'
import { Turns } from '../src/util/keyed-mutex.ts'

declare module 'fastify' {
  interface FastifyInstance {
    identities: IdentityCache
    claims: Claims
    /** Claims and releases of one name, one after the other. */
    nameTurns: Turns
  }
}

export interface IdentitiesOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** A name whose owner has not been here for so long, with an empty mailbox, is anybody's. */
  readonly idleDays: number
}

export default fp<IdentitiesOptions>(
  async (app, { now, idleDays }) => {
    const { database, log } = app
    app.decorate('identities', new IdentityCache(database, now))
    app.decorate('claims', new Claims({ database, idleDays, now, log }))
    app.decorate('nameTurns', new Turns())
  },
  { name: 'identities', fastify: '5.x', dependencies: ['database'] }
)
