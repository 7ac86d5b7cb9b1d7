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
    /** Tells other relays that what they remember of a peer's key is not true any more. */
    identityChanged(network: string, peer: string): void
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
    const { database, cluster, log } = app
    const identities = new IdentityCache(database, now, cluster === undefined)
    cluster?.on('identity', ({ network, peer }) => identities.forget(network, peer))
    cluster?.onMissed(() => identities.clear())
    app.decorate('identities', identities)
    app.decorate('registration', new Registration({ database, idleDays, now, log }))
    app.decorate('nameMutex', new KeyedMutex())
    app.decorate('identityChanged', (network, peer) => cluster?.tell({ kind: 'identity', network, peer }))
  },
  { name: 'identities', fastify: '5.x', dependencies: ['database', 'cluster'] }
)
