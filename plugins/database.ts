// plugins/database.ts: the connection to PostgreSQL; migrates the schema before others use it.
import fp from 'fastify-plugin'
import { type Database, type DatabaseSettings, openDatabase } from '../src/database/database.ts'
import { migrate } from '../src/database/migrate.ts'
import { packageFile } from '../src/util/package-root.ts'

declare module 'fastify' {
  interface FastifyInstance {
    database: Database
  }
}

export default fp<DatabaseSettings>(
  async (app, settings) => {
    const database = await openDatabase(settings, app.log)
    // Added before the migration: when that fails, the embedded Postgres must still be stopped.
    app.addHook('onClose', () => database.close())
    const applied = await migrate(database.sql, packageFile('migrations'))
    if (applied.length > 0) app.log.info({ applied }, 'database schema brought up to date')
    app.decorate('database', database)
    const { metrics } = app
    metrics.onRead(() => {
      const { connections, unanswered } = database.stats()
      metrics.databaseConnections.at().value = connections
      metrics.databaseUnanswered.at().value = unanswered
    })
  },
  { name: 'database', fastify: '5.x', dependencies: ['metrics'] }
)
