import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AuditCommandIo, runAuditCommand } from '../../src/audit/command.ts'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import type { Sql } from '../../src/database/database.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { openNote, parseCheckpoint } from '../../src/tlog/note.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'
import { messages, openTestTrail, startAuditServer, type TestTrail } from './helpers.ts'

const TABLES = ['audit_inbox', 'audit_log', 'audit_sender', 'audit_entry', 'audit_tile', 'audit_anchor']

/** What a backup is: every table as it is now. */
async function backUp(sql: Sql): Promise<void> {
  for (const table of TABLES) await sql.unsafe(`create table backup_${table} as table ${table}`)
}

async function restore(sql: Sql): Promise<void> {
  await sql.begin(async (tx) => {
    for (const table of TABLES) {
      const columns = await tx<{ name: string }[]>`
        select attname as name from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped`
      const names = columns.map(({ name }) => name).join(', ')
      await tx.unsafe(`delete from ${table}`)
      await tx.unsafe(`insert into ${table} (${names}) overriding system value select ${names} from backup_${table}`)
    }
  })
}

const command = (trail: Pick<TestTrail, 'url' | 'dataDir'>, lines: string[] = []) => {
  const io: AuditCommandIo = {
    settings: {
      ...{ databaseUrl: trail.url, dataDir: trail.dataDir, nodeKeyFile: undefined, origin: 'relay.example/logs' },
      ...{ adminToken: undefined, poolSize: 2, deadlineMs: 20_000 }
    },
    print: (line) => lines.push(line),
    progress: () => {},
    log: silentLog
  }
  return (...args: string[]) => runAuditCommand(args, io)
}

const logOf = async (trail: TestTrail, network = 'signaling') => (await findLog(trail.sql, network))!

test('a restored database is noticed by a running server, before anything is added to its log', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(40))
  await backUp(trail.sql)
  await trail.record(messages(20))
  await restore(trail.sql)
  await trail.record([...messages(30), ...messages(5, { network: 'demo-net' })])
  assert.equal((await logOf(trail)).size, 40)
  assert.equal((await logOf(trail)).publishedSize, 40)
  assert.equal((await logOf(trail, 'demo-net')).publishedSize, 5)
  assert.match(trail.publisher.halted.get('signaling')!, /has 40 records of epoch 1, but 60 of epoch 1 were signed/)
  assert.equal(trail.sequencer.fault(), '1 audit logs wait for an operator, see the log')
})

test('a restored database is noticed at the start, even when it has grown beyond what was signed', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(40))
  await backUp(trail.sql)
  await trail.record(messages(20))
  await restore(trail.sql)
  const atStart = await openTestTrail(t, trail)
  await atStart.settle()
  assert.deepEqual([...atStart.publisher.halted.keys()], ['signaling'])

  const nodeKeyFile = join(trail.dataDir, 'node.key')
  const stranger = await openTestTrail(t, { url: trail.url, nodeKeyFile }) // a server that never saw the lost records
  await stranger.record(messages(80))
  assert.equal((await logOf(trail)).publishedSize, 120)
  const late = await openTestTrail(t, trail)
  await late.record(messages(1))
  assert.equal(late.publisher.halted.get('signaling'), 'it does not begin with the 60 records that were signed')
  assert.equal((await logOf(trail)).publishedSize, 120)
  assert.equal(await command(trail)('verify'), 1)
})

test('an empty database in place of the one that was signed is noticed', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(10))
  const { url } = await createTestDatabase(t)
  const emptied = await openTestTrail(t, { url, dataDir: trail.dataDir })
  await emptied.record(messages(20))
  assert.deepEqual([...emptied.publisher.halted.keys()], ['signaling'])
  assert.equal(await findLog(emptied.sql, 'signaling'), undefined)
})

test('a newer backup ends the halt by itself', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(10))
  await backUp(trail.sql)
  await trail.sql`update audit_log set size = 5, published_size = 5`
  await trail.record(messages(1))
  assert.equal(trail.publisher.halted.size, 1)
  await restore(trail.sql)
  await trail.record(messages(1))
  assert.equal(trail.publisher.halted.size, 0)
  assert.equal((await logOf(trail)).publishedSize, 11)
})

test('when the operator accepts, the log goes on under another name and says what was lost', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(40))
  await backUp(trail.sql)
  await trail.record(messages(20))
  const lost = parseCheckpoint((await logOf(trail)).publishedNote!)
  await restore(trail.sql)
  await trail.record(messages(2))
  const lines: string[] = []
  assert.equal(await command(trail, lines)('accept-restore', '--network', 'signaling'), 0)
  assert.deepEqual(lines, [
    'audit accept-restore: signaling goes on with 40 records as relay.example/logs/…@2; 60 were signed before'
  ])
  await trail.settle()
  assert.equal(trail.publisher.halted.size, 0)
  const log = await logOf(trail)
  assert.equal(log.publishedSize, 43)
  assert.equal(
    parseCheckpoint(openNote(log.publishedNote!, nodeVerifier(trail.node))).origin,
    'relay.example/logs/signaling@2'
  )
  const [row] = await trail.sql<{ text: string }[]>`
    select convert_from(entry, 'UTF8') as text from audit_entry where convert_from(entry, 'UTF8') like '%restore%'`
  const record = JSON.parse(row!.text)
  assert.equal(record.lostSize, 60)
  assert.equal(record.lostRoot, Buffer.from(lost.root).toString('hex'))
  assert.equal(await command(trail)('verify'), 0)
  assert.equal(await command(trail, lines)('accept-restore', '--network', 'signaling'), 0)
  assert.match(lines.at(-1)!, /nothing to do/)
})

test('a damaged tree is not signed any further', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(300))
  await trail.sql`update audit_tile set hashes = set_byte(hashes, 40, 1 # get_byte(hashes, 40)) where level = 0 and idx = 1`
  await trail.record(messages(5))
  assert.equal(trail.publisher.halted.get('signaling'), 'its tiles do not give its root')
  assert.equal((await logOf(trail)).publishedSize, 300)
})

test('readiness says that an operator is waited for, the rest of the server goes on', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(10))
  await trail.sql`update audit_log set size = 5, published_size = 5`
  await insertAuditEvents(trail.sql, messages(1))
  const server = await startAuditServer(t, trail)
  const failing = await until('the audit is failing', async () => {
    const answer = (await server.app.inject('/health/ready')).json()
    return answer.parts.audit === 'failing' && answer.failing
  })
  assert.deepEqual(failing, [{ part: 'audit', reason: '1 audit logs wait for an operator, see the log' }])
  assert.match((await server.app.inject('/metrics')).body, /demos_relay_audit_halted_logs 1/)
})

test('a server whose database was restored under it passes messages on, records none, and goes on when told to', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const server = await startTestServer(t, {
    AUDIT_INTERVAL_MS: 50,
    AUDIT_ORIGIN: 'relay.example/logs',
    DATA_DIR: dataDir
  })
  const { sql } = server.app.database
  const alice = await server.join('alice')
  const say = async (count: number) => {
    for (let number = 0; number < count; number++) {
      alice.send({ type: 'message', payload: { targetId: 'away', message: { number } }, timestamp: 1 })
      await alice.next('message_queued')
    }
  }
  const untilLog = (origin: string, size: number) =>
    until(`the log is ${origin} with ${size} records`, async () => {
      const note = (await server.app.inject(`/audit/${origin.split('@')[0]}/checkpoint`)).body
      return note.startsWith(`relay.example/logs/${origin}\n${size}\n`)
    })
  const untilReady = (status: number) =>
    until(`readiness is ${status}`, async () => (await server.app.inject('/health/ready')).statusCode === status)
  await say(3)
  await untilLog('signaling', 3)
  await untilLog('anchors', 1)
  await backUp(sql)
  await say(2)
  await untilLog('signaling', 5)
  await restore(sql)
  await say(1)
  await untilReady(503)
  await say(1)
  await untilLog('signaling', 3) // as restored: nothing was added, nothing signed

  assert.equal(await command({ dataDir, url: server.databaseUrl })('accept-restore', '--network', 'signaling'), 0)
  await untilLog('signaling@2', 6) // 3, the restore itself, and the two that waited
  await untilReady(200)
})
