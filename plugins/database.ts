// plugins/database.ts: the connection to PostgreSQL; migrates the schema before others use it.
import fp from 'fastify-plugin'
import { type Database, type DatabaseSettings, openDatabase } from '../src/database/database.ts'
import { migrate } from '../src/database/migrate.ts'
import { startPoller } from '../src/observability/poller.ts'
import { oldestSnapshot } from '../src/store/snapshots.ts'
import { packageFile } from '../src/util/package-root.ts'

declare module 'fastify' {
  interface FastifyInstance {
    database: Database
  }
}

/** Rest between two looks at the transactions of others, ms. */
const SNAPSHOT_REST_MS = 30_000

export default fp<DatabaseSettings>(
  async (app, settings) => {
    const database = await openDatabase(settings, app.log)
    // Added before the migration: when that fails, the embedded Postgres must still be stopped.
    app.addHook('onClose', () => database.close())
    const applied = await migrate(database.sql, packageFile('migrations'))
    if (applied.length > 0) app.log.info({ applied }, 'database schema brought up to date')
    app.decorate('database', database)
    const { metrics } = app
    const snapshots = startPoller(() => database.within(oldestSnapshot(database.sql)), {
      restMs: SNAPSHOT_REST_MS,
      log: app.log,
      complaint: 'the oldest transaction of the database could not be found out'
    })
    app.addHook('preClose', async () => snapshots.close())
    metrics.onRead(() => {
      metrics.databaseOldestSnapshot.at().value = snapshots.latest() ?? 0
      const { connections, unanswered } = database.stats()
      metrics.databaseConnections.at().value = connections
      metrics.databaseUnanswered.at().value = unanswered
    })
  },
  { name: 'database', fastify: '5.x', dependencies: ['metrics'] }
)
