import assert from 'node:assert/strict'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'
import { openDatabase } from '../../src/database/database.ts'
import { migrate, RELAY_LOCK } from '../../src/database/migrate.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

test('a second relay over the database of one that is alone is refused, and told what to set', async (t) => {
  const first = await startTestServer(t)
  const alice = await first.join('alice')
  for (const settings of [{}, { CLUSTER_NAME: 'test' }]) {
    await assert.rejects(startTestServer(t, { ...settings, DATABASE_URL: first.databaseUrl }), (error: Error) => {
      assert.match(error.message, /^Another relay runs over this database/)
      assert.match(error.message, /CLUSTER_NAME/)
      return true
    })
  }
  alice.send(send('nobody', 'the first one goes on'))
  await alice.next('message_queued')
  await first.close()
  await startTestServer(t, { DATABASE_URL: first.databaseUrl })
})

test('a relay that is alone, or of another cluster, is refused beside relays of a cluster', async (t) => {
  const { url } = await createTestDatabase(t)
  await startTestServer(t, { CLUSTER_NAME: 'one', DATABASE_URL: url })
  await startTestServer(t, { CLUSTER_NAME: 'one', DATABASE_URL: url })
  await assert.rejects(startTestServer(t, { DATABASE_URL: url }), /A relay of the cluster one runs over this database/)
  const other = { CLUSTER_NAME: 'two', DATABASE_URL: url }
  await assert.rejects(startTestServer(t, other), /A relay of the cluster one runs .* CLUSTER_NAME is two here/)
})

test('a relay that died and left its connection behind does not keep the next one from starting', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const holder = await sql.reserve()
  await holder`select pg_advisory_lock(${RELAY_LOCK})`
  await startTestServer(t, { DATABASE_URL: url })
})

test('a relay whose lock was lost takes it again; one that was replaced meanwhile ends', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const replaced: Error[] = []
  await startTestServer(t, { DATABASE_URL: url }, { replaced: (error) => replaced.push(error) })
  const dropLock = () => sql`
    select pg_terminate_backend(pid) from pg_locks
    where locktype = 'advisory' and objid = ${RELAY_LOCK} and granted
      and database = (select oid from pg_database where datname = current_database())`
  const isHeld = async () => (await dropLock()).length > 0
  assert.ok(await isHeld())
  await until('the lock is held again', isHeld)

  const other = await openDatabase({ url, dataDir: '', poolSize: 2, deadlineMs: 5_000 }, silentLog)
  t.after(() => other.close())
  const holder = await other.reserve({
    onNotify: (_channel, payload) => {
      const nonce = /^who (.*)$/.exec(payload)?.[1]
      if (nonce !== undefined) void other.within(other.sql`select pg_notify('demos_relay_lock', ${`here ${nonce}`})`)
    }
  })
  await holder.unsafe('listen demos_relay_lock')
  await until('another one has the lock', async () => {
    await dropLock()
    const [row] = await holder<{ held: boolean }[]>`select pg_try_advisory_lock(${RELAY_LOCK}) as held`
    return row!.held
  })
  await until('the first one ends', () => replaced.length > 0)
  assert.match(replaced[0]!.message, /^Another relay runs over this database/)
  holder.release()
})

test('a cluster wants what its relays share, and NATS a cluster', () => {
  const mistakes = (env: Record<string, string>) => readConfig(env).mistakes
  assert.deepEqual(
    mistakes({ CLUSTER_NAME: 'one', DATABASE_URL: 'postgres://h/d', ADMIN_TOKEN: 'a-token-that-is-long-enough' }),
    ['NODE_KEY_FILE, AUDIT_ORIGIN must be set when CLUSTER_NAME is set: all relays share them.']
  )
  assert.deepEqual(mistakes({ NATS_URL: 'nats://127.0.0.1:4222' }), ['CLUSTER_NAME must be set when NATS_URL is set.'])
})

test('behind a pooler that shares sessions a lease speaks for a relay that is alone', async (t) => {
  const { url } = await createTestDatabase(t)
  const settings = { DATABASE_URL: url, DATABASE_POOLER: 'transaction' }
  const first = await startTestServer(t, settings)
  await assert.rejects(startTestServer(t, settings), /^RelayRefused: Another relay runs over this database/)
  await first.close()
  await startTestServer(t, settings)
})

test('behind such a pooler the relays of a cluster want NATS', async (t) => {
  const { url } = await createTestDatabase(t)
  const settings = { CLUSTER_NAME: 'one', DATABASE_URL: url, DATABASE_POOLER: 'transaction' }
  await assert.rejects(startTestServer(t, settings), /Set NATS_URL/)
})

test('a migration that breaks running relays is refused while one runs', async (t) => {
  const { url, sql } = await createTestDatabase(t)
  const directory = await temporaryDirectory(t)
  await cp(packageFile('migrations'), directory, { recursive: true })
  await writeFile(join(directory, '9001_harmless.sql'), '-- Breaking for a running older server: no.\nselect 1;\n')
  const first = await startTestServer(t, { DATABASE_URL: url })
  assert.deepEqual(await migrate(sql, directory), ['9001_harmless.sql'])
  await writeFile(join(directory, '9002_breaking.sql'), '-- Breaking for a running older server: yes.\nselect 1;\n')
  await assert.rejects(migrate(sql, directory), /9002_breaking.sql changes what running relays rely on/)
  await first.close()
  assert.deepEqual(await migrate(sql, directory), ['9002_breaking.sql'])
})
