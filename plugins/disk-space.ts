// plugins/disk-space.ts: how much room there is for what the relay keeps, as the metrics tell it.
import fp from 'fastify-plugin'
import { readDiskSpace } from '../src/observability/disk-space.ts'
import { startPoller } from '../src/observability/poller.ts'
import { databaseBytes } from '../src/store/database-size.ts'

export interface DiskSpaceOptions {
  readonly dataDir: string
}

/** Rest between two looks, in ms. */
const REST_MS = 30_000

export default fp<DiskSpaceOptions>(
  async (app, { dataDir }) => {
    const { database, metrics, log } = app
    const space = startPoller(() => readDiskSpace(dataDir), {
      ...{ restMs: REST_MS, log, complaint: 'the free space of the data directory could not be found out' }
    })
    const size = startPoller(() => database.within(databaseBytes(database.sql)), {
      ...{ restMs: REST_MS, log, complaint: 'the size of the database could not be found out' }
    })
    app.addHook('preClose', async () => {
      space.close()
      size.close()
    })
    metrics.onRead(() => {
      const latest = space.latest()
      metrics.dataFree.at().value = latest?.freeBytes
      metrics.dataTotal.at().value = latest?.totalBytes
      metrics.databaseBytes.at().value = size.latest()
    })
  },
  { name: 'disk-space', fastify: '5.x', dependencies: ['database', 'metrics'] }
)
