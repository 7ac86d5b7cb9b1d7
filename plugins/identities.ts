// plugins/identities.ts: which key owns which name; registers names one after the other and caches their keys.
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { lookUps } from '../src/database/batched.ts'
import { IdentityCache } from '../src/identity/identity-cache.ts'
import { Registration } from '../src/identity/registration.ts'
import { deleteUnused, findIdentities } from '../src/store/identity.ts'
import { KeyedMutex } from '../src/util/keyed-mutex.ts'
import { limitedLog } from '../src/util/limited-log.ts'
import { SteadyClock } from '../src/util/steady-clock.ts'

declare module 'fastify' {
  interface FastifyInstance {
    identities: IdentityCache
    registration: Registration
    /** Registrations and releases of one name, one after the other. */
    nameMutex: KeyedMutex
    /** Tells other relays that what they remember of a peer's key is not true any more. */
    identityChanged(network: string, peer: string): void
    /** Deletes identities that were never used; a timer does it every hour. */
    forgetUnused(): Promise<void>
  }
}

export interface IdentitiesOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** A name whose owner has been away this long, with an empty mailbox, may be registered with another key. */
  readonly idleDays: number
  /** Identities are forgotten that were never used for so many days; 0: none. */
  readonly unusedDays: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DELETED_AT_ONCE = 500

export default fp<IdentitiesOptions>(
  async (app, { now, idleDays, unusedDays }) => {
    const { database, cluster, log } = app
    const limited = limitedLog(log)
    const find = lookUps({
      ...{ database, find: findIdentities },
      failed: (error, names) => limited.warn({ err: error, names }, 'keys of peers not looked up')
    })
    const identities = new IdentityCache(find, now, cluster === undefined)
    cluster?.on('identity', ({ network, peer }) => identities.forget(network, peer))
    cluster?.onMissed(() => identities.clear())
    app.decorate('identities', identities)
    app.decorate('registration', new Registration({ database, idleDays, now, log: limited }))
    app.decorate('nameMutex', new KeyedMutex())
    app.decorate('identityChanged', (network, peer) => cluster?.tell({ kind: 'identity', network, peer }))
    const clock = new SteadyClock(now)
    app.decorate('forgetUnused', async () => {
      const ms = unusedDays * DAY_MS
      if (clock.isSteady()) await forgetUnused(app, now() - ms, now() - 2 * ms)
    })
    if (unusedDays === 0) return
    const timer = setInterval(() => {
      app.forgetUnused().catch((error: unknown) => log.warn({ err: error }, 'unused identities not deleted'))
    }, HOUR_MS).unref()
    app.addHook('onClose', async () => clearInterval(timer))
  },
  { name: 'identities', fastify: '5.x', dependencies: ['database', 'cluster'] }
)

async function forgetUnused(
  { database, identities, identityChanged, log }: FastifyInstance,
  before: number,
  after: number
) {
  let all = 0
  for (let gone = DELETED_AT_ONCE; gone === DELETED_AT_ONCE; all += gone) {
    const deleted = await database.within(deleteUnused(database.sql, { before, after }, DELETED_AT_ONCE))
    for (const { network, peer } of deleted) {
      identities.released(network, peer)
      identityChanged(network, peer)
    }
    gone = deleted.length
  }
  if (all > 0) log.info({ identities: all }, 'identities that were never used are deleted')
}
