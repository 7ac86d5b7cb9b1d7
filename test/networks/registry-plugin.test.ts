import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import health from '../../plugins/health.ts'
import l2psRegistry from '../../plugins/l2ps-registry.ts'
import { type Database, openDatabase } from '../../src/database/database.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

/** Opens servers, one after the other, over one database and one directory. */
async function place(t: TestContext, { embedded = true } = {}) {
  const { url, sql } = await createTestDatabase(t)
  const opened = await openDatabase({ url, dataDir: '/nonexistent', poolSize: 2, deadlineMs: 5_000 }, silentLog)
  atEnd(t, () => opened.close())
  const database = Object.assign(Object.create(opened), {
    ...{ embedded, sql: opened.sql, within: opened.within.bind(opened) }
  }) as Database
  const directory = await temporaryDirectory(t)
  const start = async () => {
    const app = Fastify()
    atEnd(t, () => app.close())
    await app.register(health)
    await app.register(fp(async () => void app.decorate('database', database), { name: 'database' }))
    await app.register(l2psRegistry, { directory })
    return app
  }
  const write = async (uid: string, config: object) => {
    await mkdir(join(directory, uid), { recursive: true })
    await writeFile(join(directory, uid, 'config.json'), JSON.stringify(config))
  }
  return { sql, start, write }
}

type App = Awaited<ReturnType<Awaited<ReturnType<typeof place>>['start']>>
const uids = (app: App) => app.networks.list().map(({ uid }) => uid)

test('a newcomer finds the network demo, open to any key, and keeps it over restarts', async (t) => {
  const { start } = await place(t)
  const first = await start()
  assert.deepEqual(uids(first), ['demo'])
  assert.deepEqual([first.networks.find('demo')?.enabled, first.networks.find('demo')?.members], [true, undefined])
  await first.close()
  assert.deepEqual(uids(await start()), ['demo'])
})

test('an operator who deletes demo does not get it back', async (t) => {
  const { start, sql } = await place(t)
  await (await start()).close()
  await sql`delete from l2ps_network`
  assert.deepEqual(uids(await start()), [])
})

test('no demo is made beside a network in a file, a faulty one, or one in the database; nor later', async (t) => {
  const filed = await place(t)
  await filed.write('mine', { uid: 'mine', enabled: true })
  assert.deepEqual(uids(await filed.start()), ['mine'])

  const faulty = await place(t)
  await faulty.write('mine', { uid: 'mine' })
  assert.deepEqual(uids(await faulty.start()), [])
  await faulty.write('mine', { uid: 'mine', enabled: true })
  assert.deepEqual(uids(await faulty.start()), ['mine'])

  const rowed = await place(t)
  await rowed.sql`insert into l2ps_network (uid) values ('mine')`
  assert.deepEqual(uids(await rowed.start()), ['mine'])
})

test("no demo is made in an operator's own database", async (t) => {
  const { start, sql } = await place(t, { embedded: false })
  assert.deepEqual(uids(await start()), [])
  assert.equal((await sql`select from l2ps_first_start`).length, 0)
})

test('faulty configurations are shown by readiness and do not make the server unready', async (t) => {
  const { start, write } = await place(t)
  await write('good', { uid: 'good', enabled: true })
  await write('bad', { uid: 'good', enabled: true })
  const app = await start()
  const response = await app.inject('/health/ready')
  assert.equal(response.statusCode, 200)
  const fault = { place: 'bad/config.json', reason: 'uid is not the name of its directory' }
  assert.deepEqual(response.json().details, { l2ps: { networks: 1, faultCount: 1, faults: [fault] } })
  await write('bad', { uid: 'bad', enabled: true })
  await app.networks.refresh()
  const { details } = (await app.inject('/health/ready')).json()
  assert.deepEqual(details, { l2ps: { networks: 2, faultCount: 0, faults: [] } })
})

test('readiness shows some of many faults, and counts them all', async (t) => {
  const { start, write } = await place(t)
  for (let n = 0; n < 50; n++) await write(`net-${n}`, {})
  const { l2ps } = (await (await start()).inject('/health/ready')).json().details
  assert.deepEqual([l2ps.networks, l2ps.faultCount, l2ps.faults.length], [0, 50, 20])
})

test('without the plugins it needs it does not start', async () => {
  await assert.rejects(async () => Fastify().register(l2psRegistry, { directory: '/nonexistent' }), /dependency/)
})

test('closing the server closes the registry', async (t) => {
  const { start, write } = await place(t)
  const app = await start()
  await app.close()
  await write('late', { uid: 'late', enabled: true })
  await app.networks.refresh()
  assert.equal(app.networks.find('late'), undefined)
})
