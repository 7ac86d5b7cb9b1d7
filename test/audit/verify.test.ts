import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AuditCommandIo, runAuditCommand } from '../../src/audit/command.ts'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { postgresSource } from '../../src/audit/sources.ts'
import { type LogSource, type PlacedEntry, verifyLog } from '../../src/audit/verify.ts'
import type { AuditEvent } from '../../src/store/audit-inbox.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { parseCheckpoint, verifierLine } from '../../src/tlog/note.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { ADMIN, messages, openTestTrail, startAuditServer, type TestTrail } from './helpers.ts'

const SIZE = 700

async function filled(t: Parameters<typeof openTestTrail>[0]): Promise<{ trail: TestTrail; source: LogSource }> {
  const trail = await openTestTrail(t, { batchEvents: 300 })
  await trail.record(messages(SIZE))
  const log = await findLog(trail.sql, 'signaling')
  return { trail, source: postgresSource(trail.database, log!) }
}

const findingsOf = async (trail: TestTrail, source: LogSource) =>
  (await verifyLog({ network: 'signaling', source, verifier: nodeVerifier(trail.node) })).findings

/** The log with its records put together anew; `edit` gets all of them in order. */
function edited(source: LogSource, edit: (records: Uint8Array[]) => Uint8Array[]): LogSource {
  let records: Promise<Uint8Array[]> | undefined
  const all = async () => {
    const bundles = await Promise.all([0, 1, 2].map((index) => source.entries(index, index === 2 ? SIZE - 512 : 256)))
    return edit(bundles.flatMap((bundle) => bundle!.map(({ entry }) => entry)))
  }
  return {
    ...source,
    entries: async (index, width): Promise<PlacedEntry[]> => {
      records ??= all()
      const bundle = (await records).slice(index * 256, index * 256 + width)
      return bundle.map((entry, place) => ({ index: index * 256 + place, entry }))
    }
  }
}

const flipped = (bytes: Uint8Array, bit: number) => {
  const copy = Buffer.from(bytes)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

test('a sound log has no findings, and progress reaches its size', async (t) => {
  const { trail, source } = await filled(t)
  const seen: number[] = []
  const options = { network: 'signaling', source, verifier: nodeVerifier(trail.node) }
  const verdict = await verifyLog({ ...options, onProgress: (done) => seen.push(done) })
  assert.deepEqual(verdict, { network: 'signaling', size: SIZE, isWithheld: false, findings: [] })
  assert.deepEqual(seen, [256, 512, SIZE])
})

test('a changed bit of any record is found, and the record named', async (t) => {
  const { trail, source } = await filled(t)
  for (const [index, bit] of [
    [0, 0],
    [255, 13],
    [256, 900],
    [511, 7],
    [699, 400]
  ] as const) {
    const changed = edited(source, (records) => records.with(index, flipped(records[index]!, bit)))
    assert.deepEqual(await findingsOf(trail, changed), [`record ${index} was changed`])
  }
})

test('a dropped, a doubled and a reordered record are found and named', async (t) => {
  const { trail, source } = await filled(t)
  const swapped = edited(source, (all) => all.with(5, all[600]!).with(600, all[5]!))
  assert.deepEqual(await findingsOf(trail, swapped), ['record 600 stands at place 5', 'record 5 stands at place 600'])

  const dropped = await findingsOf(
    trail,
    edited(source, (all) => all.toSpliced(690, 1))
  )
  assert.equal(dropped[0], 'record 699 is missing')
  assert.deepEqual(dropped.slice(1, 4), [
    'record 691 stands at place 690',
    'record 690 is gone',
    'record 692 stands at place 691'
  ])

  const doubled = await findingsOf(
    trail,
    edited(source, (all) => all.toSpliced(698, 0, all[697]!).slice(0, SIZE))
  )
  assert.deepEqual(doubled, [
    'record 697 stands at place 698 once more',
    'record 698 stands at place 699',
    'record 699 is gone'
  ])
})

test('a changed bit of any tile is found, and the tile named', async (t) => {
  const { trail, source } = await filled(t)
  const damaged = (level: number, index: number, bit: number): LogSource => ({
    ...source,
    tile: async (ref, width) => {
      const tile = await source.tile(ref, width)
      return ref.level === level && ref.index === index ? flipped(tile!, bit) : tile
    }
  })
  assert.deepEqual(await findingsOf(trail, damaged(0, 1, 44 * 256)), ['tile 0/1 was changed at record 300'])
  assert.deepEqual(await findingsOf(trail, damaged(1, 0, 300)), ['tile 1/0 does not stand for the tiles below it'])
})

test('a checkpoint that was changed, or signed by another key, is no checkpoint', async (t) => {
  const { trail, source } = await filled(t)
  const note = (await source.checkpoint())!
  const with_ = (text: string) => ({ ...source, checkpoint: async () => text })
  for (const wrong of [note.replace('\n700\n', '\n699\n'), note.replace('/signaling', '/other'), note.slice(0, -2)]) {
    const [finding] = await findingsOf(trail, with_(wrong))
    assert.match(finding!, /^the checkpoint is not valid/)
  }
  const other = await openTestTrail(t)
  const verdict = await verifyLog({ network: 'signaling', source, verifier: nodeVerifier(other.node) })
  assert.match(verdict.findings[0]!, /no signature of relay\.example\/logs/)
})

test('a log that was signed with a record left out or twice shows it in the nonces', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(20))
  await trail.sql`update audit_sender set nonce = nonce + 1 where sender = 'sender-3'`
  await trail.record(messages(14))
  const source = postgresSource(trail.database, (await findLog(trail.sql, 'signaling'))!)
  assert.deepEqual(await findingsOf(trail, source), [
    'record 23 has nonce 5 of sender-3, which follows nonce 3: a record was dropped, doubled or moved'
  ])
})

function commandOf(trail: { url: string; dataDir: string }, adminToken?: string) {
  const lines: string[] = []
  const io: AuditCommandIo = {
    settings: {
      ...{ databaseUrl: trail.url, dataDir: trail.dataDir, nodeKeyFile: undefined, origin: 'relay.example/logs' },
      ...{ adminToken, poolSize: 2, deadlineMs: 20_000 }
    },
    print: (line) => lines.push(line),
    progress: () => {},
    log: silentLog
  }
  return { lines, run: (...args: string[]) => runAuditCommand(args, io) }
}

test('the command verifies every log of a database, and each kind of damage there fails it', async (t) => {
  const { trail } = await filled(t)
  await trail.record(messages(30, { network: 'demo-net' }))
  const command = commandOf(trail)
  assert.equal(await command.run('verify'), 0)
  assert.deepEqual(command.lines, [
    'demo-net: 30 records verified',
    'signaling: 700 records verified',
    'audit verify: fine, 2 logs with 730 records'
  ])
  const log = (await findLog(trail.sql, 'signaling'))!.id
  const damages: [damage: () => Promise<unknown>, finding: RegExp][] = [
    [
      () =>
        trail.sql`update audit_entry set entry = set_byte(entry, 9, 1 # get_byte(entry, 9)) where log = ${log} and idx = 8`,
      /record 8 was changed/
    ],
    [() => trail.sql`delete from audit_entry where log = ${log} and idx = 400`, /record 400 is missing/],
    [
      () =>
        trail.sql`update audit_tile set hashes = set_byte(hashes, 0, 1 # get_byte(hashes, 0)) where log = ${log} and level = 1`,
      /tile 1\/0 does not stand/
    ],
    [
      () => trail.sql`insert into audit_entry (log, idx, entry) values (${log}, 700, 'x')`,
      /1 records lie beyond its tree/
    ]
  ]
  for (const [damage, finding] of damages) {
    const { lines, run } = commandOf(trail)
    await damage()
    assert.equal(await run('verify', '--network', 'signaling'), 1)
    assert(
      lines.some((line) => finding.test(line)),
      `${finding} in ${lines.join('\n')}`
    )
    assert.equal(lines.at(-1), 'audit verify: FAILED in 1 of 1 log: signaling')
  }
  assert.equal(await commandOf(trail).run('verify', '--network', 'demo-net'), 0)
})

test('the public URLs alone are enough; without the token only the hashes are verified', async (t) => {
  const { trail } = await filled(t)
  const server = await startAuditServer(t, { url: trail.url, dataDir: trail.dataDir })
  const open = commandOf(trail, ADMIN.slice('Bearer '.length))
  assert.equal(await open.run('verify', '--from-url', server.url, '--network', 'signaling'), 0)
  assert.deepEqual(open.lines.slice(1), [
    'signaling: 700 records verified',
    'audit verify: fine, 1 log with 700 records'
  ])
  const closed = commandOf(trail)
  assert.equal(await closed.run('verify', '--from-url', server.url, '--network', 'signaling'), 0)
  assert.equal(closed.lines[1], 'signaling: 700 hashes verified, the records are not public')
  assert.match(closed.lines.at(-1)!, /NOT CHECKED: the records of signaling, which want the admin token/)
  assert.equal(await closed.run('verify', '--from-url', server.url, '--network', 'nobody'), 1)
  assert.equal(closed.lines.at(-1), 'audit verify: FAILED in 1 of 1 log: nobody')
})

test('a name that no log has is not fine', async (t) => {
  const { trail } = await filled(t)
  const { lines, run } = commandOf(trail)
  assert.equal(await run('verify', '--network', 'signalling'), 1)
  assert.deepEqual(lines, [
    'signalling: there is no log of this name',
    'audit verify: FAILED in 1 of 1 log: signalling'
  ])
})

test('a log signed anew over other records contradicts what was anchored, in the database and from its URLs', async (t) => {
  const honest = await openTestTrail(t, { batchEvents: 1_000 })
  const anchored: AuditEvent[] = []
  for (const count of [1, 99, 200, 300]) {
    await honest.record(messages(count, { network: 'demo-net' }))
    const { origin, size, root } = parseCheckpoint((await findLog(honest.sql, 'demo-net'))!.publishedNote!)
    const digest = Buffer.from(root).toString('hex')
    const checkpoint = { kind: 'checkpoint', network: 'anchors', sender: 'demo-net', acceptedAt: 1 } as const
    anchored.push({ ...checkpoint, recipient: origin, digest, bytes: size })
  }
  await honest.record(anchored)
  const forged = await openTestTrail(t, { batchEvents: 1_000 })
  await forged.record([...messages(599, { network: 'demo-net', recipient: 'somebody else' }), ...anchored])

  const verify = async (trail: TestTrail) => {
    await trail.sql`update audit_log set anchor_queued_at = ${Number.MAX_SAFE_INTEGER}` // no more anchors by themselves
    const { url } = await startAuditServer(t, { url: trail.url, dataDir: trail.dataDir })
    const ways = [[], ['--from-url', url, '--vkey', verifierLine(nodeVerifier(trail.node))]]
    const [fromDatabase, fromUrl] = await Promise.all(
      ways.map(async (way) => {
        const { lines, run } = commandOf(trail, ADMIN.slice('Bearer '.length))
        await run('verify', ...way)
        return lines
      })
    )
    assert.deepEqual(fromUrl, fromDatabase)
    return fromDatabase
  }
  assert.deepEqual(await verify(honest), [
    'anchors: 4 records verified',
    'demo-net: 600 records verified',
    'audit verify: fine, 2 logs with 604 records'
  ])
  assert.deepEqual(await verify(forged), [
    'anchors: 4 records verified',
    'demo-net: it does not begin with the 1 records of anchors/0',
    'demo-net: it does not begin with the 100 records of anchors/1',
    'demo-net: it does not begin with the 300 records of anchors/2',
    'demo-net: it has 599 records, but anchors/3 says 600',
    'audit verify: FAILED in 1 of 2 logs: demo-net'
  ])
})

test('a server that is not there is named', async (t) => {
  const { lines, run } = commandOf({ url: 'postgres://nowhere', dataDir: (await openTestTrail(t)).dataDir })
  assert.equal(await run('verify', '--from-url', 'http://127.0.0.1:1'), 1)
  assert.deepEqual(lines, ['audit verify: FAILED, http://127.0.0.1:1/audit/vkey does not answer'])
})

test('a call that is not understood explains itself', async (t) => {
  const command = commandOf({ url: 'postgres://nowhere', dataDir: await (await openTestTrail(t)).dataDir })
  for (const args of [[], ['check'], ['verify', '--nework', 'x'], ['accept-restore'], ['verify', 'signaling']]) {
    assert.equal(await command.run(...args), 2)
  }
  assert.match(command.lines[0]!, /^Usage: demos-relay audit verify/)
})

test('nothing verified is not fine: a server whose logs nobody named fails, an empty database says that it is empty', async (t) => {
  const { url, databaseUrl, dataDir } = await startAuditServer(t)
  const { run, lines } = commandOf({ url: databaseUrl, dataDir })
  assert.equal(await run('verify', '--from-url', url), 1)
  assert.match(lines.at(-1)!, /FAILED, nothing was verified: no log was found there; name one with --network$/)
  assert.equal(await run('verify'), 0)
  assert.match(lines.at(-1)!, /nothing to verify, the database has no audit log yet$/)
})
