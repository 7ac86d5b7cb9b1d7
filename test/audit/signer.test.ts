import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AuditCommandIo, runAuditCommand } from '../../src/audit/command.ts'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { parseRecord } from '../../src/audit/record.ts'
import { rekeyFault } from '../../src/audit/signer.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { openNote } from '../../src/tlog/note.ts'
import { StartError } from '../../src/util/start-error.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { messages, openTestTrail, type TestTrail } from './helpers.ts'

const keyOf = (trail: TestTrail) => Buffer.from(nodeVerifier(trail.node).publicKey).toString('hex')

/** Runs `audit …` with the database and another DATA_DIR; resolves to the exit code and the lines. */
async function command(url: string, dataDir: string, ...args: string[]) {
  const lines: string[] = []
  const io: AuditCommandIo = {
    settings: {
      ...{ databaseUrl: url, dataDir, nodeKeyFile: undefined, origin: 'relay.example/logs' },
      ...{ adminToken: undefined, poolSize: 2, deadlineMs: 20_000 }
    },
    print: (line) => lines.push(line),
    progress: () => {},
    log: silentLog
  }
  return { code: await runAuditCommand(args, io), lines }
}

async function signedTrail(t: TestContext): Promise<TestTrail> {
  const trail = await openTestTrail(t)
  await trail.record(messages(10))
  return trail
}

async function recordsOf(trail: TestTrail, network = 'signaling') {
  const rows = await trail.sql<{ entry: Buffer }[]>`
    select entry from audit_entry e join audit_log l on l.id = e.log where network = ${network} order by idx`
  return rows.map(({ entry }) => parseRecord(entry)!)
}

test('a fresh data directory over a database whose log was signed is refused, and no key is made', async (t) => {
  const { url } = await signedTrail(t)
  const dataDir = await temporaryDirectory(t)
  await assert.rejects(openTestTrail(t, { url, dataDir }), (error: Error) => {
    assert.ok(error instanceof StartError)
    assert.match(error.message, /signed by a node key, and there is none at .*node\.key: put that key back, or .*rekey/)
    return true
  })
  assert.equal(existsSync(join(dataDir, 'node.key')), false)
})

test('another node key is refused, and the refusal names both', async (t) => {
  const trail = await signedTrail(t)
  const other = await openTestTrail(t)
  await assert.rejects(openTestTrail(t, { url: trail.url, dataDir: other.dataDir }), (error: Error) => {
    assert.ok(error instanceof StartError)
    for (const part of [keyOf(trail), keyOf(other), 'demos-relay audit rekey']) assert.ok(error.message.includes(part))
    return true
  })
  await openTestTrail(t, { url: trail.url, dataDir: trail.dataDir })
})

test('a database from before the key was kept in it is claimed by the key that signed, and by no other', async (t) => {
  const trail = await signedTrail(t)
  const other = await openTestTrail(t)
  await trail.sql`delete from audit_node`
  await assert.rejects(openTestTrail(t, { url: trail.url, dataDir: other.dataDir }), StartError)
  await assert.rejects(openTestTrail(t, { url: trail.url, dataDir: await temporaryDirectory(t) }), StartError)
  await openTestTrail(t, { url: trail.url, dataDir: trail.dataDir })
  const [row] = await trail.sql<{ key: Buffer }[]>`select public_key as key from audit_node`
  assert.equal(row!.key.toString('hex'), keyOf(trail))
})

test('two servers that start at once on a new database: one key signs, the other is refused', async (t) => {
  const { url, sql } = await signedTrail(t)
  await sql`truncate audit_node, audit_log`
  const outcomes = await Promise.allSettled(
    [1, 2, 3].map(async () => openTestTrail(t, { url, dataDir: await temporaryDirectory(t) }))
  )
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected'])
})

test('after audit rekey the new key signs; every log says so, signed by both keys', async (t) => {
  const trail = await signedTrail(t)
  await trail.record(messages(3, { network: 'demo-net' }))
  const dataDir = await temporaryDirectory(t)
  const { code, lines } = await command(trail.url, dataDir, 'rekey', '--old-key', join(trail.dataDir, 'node.key'))
  assert.deepEqual(
    [code, lines.at(-1)?.replace(/[0-9a-f]{64}/, 'KEY')],
    [0, 'audit rekey: 2 logs go on from key KEY; each gets a record of it, signed by both keys']
  )
  const renewed = await openTestTrail(t, { url: trail.url, dataDir })
  await renewed.settle()
  for (const [network, size] of [
    ['signaling', 11],
    ['demo-net', 4]
  ] as const) {
    const log = (await findLog(trail.sql, network))!
    assert.equal(log.publishedSize, size)
    openNote(log.publishedNote!, nodeVerifier(renewed.node))
    const record = (await recordsOf(trail, network)).at(-1)!
    assert.ok(record.type === 'rekey' && record.oldSignature !== undefined)
    assert.deepEqual([record.oldKey, record.newKey], [keyOf(trail), keyOf(renewed)])
    assert.equal(rekeyFault(record), undefined)
    assert.match(rekeyFault({ ...record, newKey: keyOf(trail) })!, /did not sign it/)
    assert.match(rekeyFault({ ...record, oldSignature: record.newSignature })!, /not by the old key/)
  }
  assert.deepEqual((await command(trail.url, dataDir, 'verify')).code, 0)
  assert.match((await command(trail.url, dataDir, 'rekey')).lines[0]!, /nothing to do/)
})

test('when the old key is lost, audit rekey makes a key, and the record has its signature alone', async (t) => {
  const trail = await signedTrail(t)
  await rename(join(trail.dataDir, 'node.key'), join(trail.dataDir, 'lost.key'))
  const { code, lines } = await command(trail.url, trail.dataDir, 'rekey')
  assert.equal(code, 0)
  assert.match(lines.at(-1)!, /signed by the new key alone$/)
  const renewed = await openTestTrail(t, trail)
  await renewed.settle()
  const record = (await recordsOf(trail)).at(-1)!
  assert.ok(record.type === 'rekey' && record.oldSignature === undefined)
  assert.equal(record.oldKey, keyOf(trail))
  assert.equal((await command(trail.url, trail.dataDir, 'verify')).code, 0)
})

test('audit rekey refuses an old key that is not the one that signed', async (t) => {
  const trail = await signedTrail(t)
  const other = await openTestTrail(t)
  const dataDir = await temporaryDirectory(t)
  const { code, lines } = await command(trail.url, dataDir, 'rekey', '--old-key', join(other.dataDir, 'node.key'))
  assert.equal(code, 1)
  assert.match(lines[0]!, /^audit rekey: FAILED, the old key that was given, [0-9a-f]{64}, is not the one that signed/)
  await openTestTrail(t, { url: trail.url, dataDir: trail.dataDir })
})

test('a server that still runs with the old key adds nothing, signs nothing, and says why', async (t) => {
  const trail = await signedTrail(t)
  const dataDir = await temporaryDirectory(t)
  await command(trail.url, dataDir, 'rekey')
  await insertAuditEvents(trail.sql, messages(5, { digest: 'ab' }))
  await assert.rejects(trail.settle(), /given to another node key/)
  assert.equal(trail.sequencer.fault(), 'the logs were given to another node key')
  assert.equal((await findLog(trail.sql, 'signaling'))!.size, 10)
  const renewed = await openTestTrail(t, { url: trail.url, dataDir })
  await renewed.settle()
  assert.equal((await findLog(trail.sql, 'signaling'))!.publishedSize, 16)
})

test('a server with a copy of the key may be on another machine', async (t) => {
  const trail = await signedTrail(t)
  const second = await openTestTrail(t, { url: trail.url, nodeKeyFile: join(trail.dataDir, 'node.key') })
  await second.record(messages(5, { network: 'demo-net' }))
  assert.equal((await findLog(trail.sql, 'demo-net'))!.publishedSize, 5)
})
