// plugins/identities.ts: which key owns which name; registers names one after the other and caches their keys.
import fp from 'fastify-plugin'
import { IdentityCache } from '../src/identity/identity-cache.ts'
import { Registration } from '../src/identity/registration.ts'
import { KeyedMutex } from '../src/util/keyed-mutex.ts'

declare module 'fastify' {
  interface FastifyInstance {
    identities: IdentityCache
    registration: Registration
    /** Registrations and releases of one name, one after the other. */
    nameMutex: KeyedMutex
  }
}

export interface IdentitiesOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** A name whose owner has been away this long, with an empty mailbox, may be registered with another key. */
  readonly idleDays: number
}

export default fp<IdentitiesOptions>(
  async (app, { now, idleDays }) => {
    const { database, log } = app
    app.decorate('identities', new IdentityCache(database, now))
    app.decorate('registration', new Registration({ database, idleDays, now, log }))
    app.decorate('nameMutex', new KeyedMutex())
  },
  { name: 'identities', fastify: '5.x', dependencies: ['database'] }
)
