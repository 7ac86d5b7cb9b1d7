import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openNotifyBus } from '../../src/cluster/notify-bus.ts'
import { type Database, DatabaseUnavailable, openDatabase } from '../../src/database/database.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

test('a bus that cannot listen yet gives its connection back, and listens later', async (t) => {
  const { url } = await createTestDatabase(t)
  const database = await openDatabase({ url, dataDir: '', poolSize: 2, deadlineMs: 5_000 }, silentLog)
  atEnd(t, () => database.close())
  let isSlow = true
  const slowAtTimes = {
    sql: database.sql,
    reserve: (...args: Parameters<Database['reserve']>) => database.reserve(...args),
    within: <T>(query: PromiseLike<T>) =>
      database.within(query).then((result) => {
        if (isSlow) throw new DatabaseUnavailable('Postgres did not answer within 1 ms')
        return result
      })
  } as unknown as Database
  const listener = {
    message: () => {},
    answer: async () => Buffer.alloc(0),
    connected: () => {},
    disconnected: () => {}
  }
  const open = () =>
    openNotifyBus({ database: slowAtTimes, cluster: 'test', relay: 'relay-1', listener, log: silentLog })
  for (let tries = 0; tries < 3; tries++) await assert.rejects(open(), DatabaseUnavailable)
  isSlow = false
  const bus = await open()
  assert.ok(bus.isConnected)
  const inPool = 1
  await until('one connection listens', () => database.stats().connections === inPool + 1)
  await bus.close()
  await until('none listens', () => database.stats().connections === inPool)
})
