// The next release starts over the database of one that runs: each a process with its own build.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { makeNextBuild } from '../chaos/next-build.ts'
import { type ServerProcess, serverProcess } from '../chaos/server-process.ts'
import { SETTINGS } from '../chaos/stage.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { nodeKeyFile } from '../helpers/node-key.ts'
import { openPeer, type Peer, quickIdentity } from '../helpers/peer.ts'
import { until } from '../helpers/wait.ts'

const SCHEMA_PATIENCE_MS = 30_000

/** Makes relays of one cluster. */
async function relaysOver(t: TestContext, databaseUrl: string) {
  const key = nodeKeyFile(await temporaryDirectory(t))
  return async (name: string, build?: string): Promise<ServerProcess> => {
    const home = await temporaryDirectory(t)
    const env = {
      ...SETTINGS,
      ...{ CLUSTER_NAME: 'upgraded', RELAY_NAME: name, NODE_KEY_FILE: key },
      ...{ DATA_DIR: home, DATABASE_URL: databaseUrl, DATABASE_POOL_SIZE: '4' }
    }
    const server = serverProcess(t, { env, cwd: home, steppedClock: false })
    if (build !== undefined) server.setBuild(build)
    return server
  }
}

async function readinessOf({ url }: ServerProcess) {
  const answer = await fetch(`${url!.replace(/^ws/, 'http')}/health/ready`)
  const { failing = [], details } = (await answer.json()) as {
    failing?: { part: string; reason: string }[]
    details: { schema: { known: number; newer: number[] } }
  }
  return { status: answer.status, failing, schema: details.schema }
}

const message = (targetId: string, n: number) => ({ type: 'message', payload: { targetId, message: { n } } })

async function receives(peer: Peer, n: number) {
  assert.deepEqual((await peer.next('message', 20_000)).payload.message, { n })
}

test('beside the next release an older relay says so, and goes on storing and relaying', async (t) => {
  const database = await createTestDatabase(t)
  const relay = await relaysOver(t, database.url)
  const older = await relay('older')
  await older.start()
  const alice = await openPeer(t, older.url!)
  await alice.register('alice')
  const { status, schema } = await readinessOf(older)
  assert.deepEqual([status, schema.newer], [200, []])

  const newer = await relay('newer', await makeNextBuild(t))
  await newer.start()
  const says = async () => (await readinessOf(older)).schema.newer.length > 0
  await until('the older one says so', says, SCHEMA_PATIENCE_MS)
  const after = await readinessOf(older)
  assert.deepEqual([after.status, after.failing, after.schema.newer], [200, [], [9000]])
  assert.deepEqual((await readinessOf(newer)).schema, { known: 9000, newer: [] })

  const bob = await quickIdentity()
  const before = await openPeer(t, newer.url!)
  await before.register('bob', bob)
  await before.close()
  await until('bob is away everywhere', async () => {
    alice.send({ type: 'discover', payload: {} })
    return !(await alice.next('discover')).payload.peers.includes('bob')
  })
  alice.send(message('bob', 1))
  await alice.next('message_queued')
  const back = await openPeer(t, newer.url!)
  await back.register('bob', bob)
  await receives(back, 1)
  alice.send(message('bob', 2))
  await receives(back, 2)
  back.send(message('alice', 3))
  await receives(alice, 3)
  assert.deepEqual([...older.problems, ...newer.problems], [])
})

test('the next release does not start while a relay runs that its migration breaks', async (t) => {
  const database = await createTestDatabase(t)
  const relay = await relaysOver(t, database.url)
  const older = await relay('older')
  await older.start()
  const alice = await openPeer(t, older.url!)
  await alice.register('alice')

  const newer = await relay('newer', await makeNextBuild(t, { breaks: true }))
  await assert.rejects(newer.start(), /9000_next_release.sql changes what running relays rely on/)
  const { status, schema } = await readinessOf(older)
  assert.deepEqual([status, schema.newer], [200, []])
  alice.send(message('nobody', 1))
  await alice.next('message_queued')

  await older.stop()
  await newer.start()
  assert.deepEqual((await readinessOf(newer)).schema, { known: 9000, newer: [] })
})
