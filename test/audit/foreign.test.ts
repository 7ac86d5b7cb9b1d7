// A log served by the real plugin, verified by Go's golang.org/x/mod/sumdb: see test/audit/go/main.go.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEntries } from '../../src/store/audit-entry.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { checkpointText, parseCheckpoint, signNote } from '../../src/tlog/note.ts'
import { buildGoVerifier, needsGo } from './go-verifier.ts'
import { ADMIN, messages, openTestTrail, startAuditServer } from './helpers.ts'

test(
  'a program that shares nothing with us verifies signature, tiles, records and proofs of a real log',
  await needsGo(),
  async (t) => {
    const program = await buildGoVerifier(t)
    const trail = await openTestTrail(t, { batchEvents: 1_000 })
    await trail.record(messages(300))
    const older = (await findLog(trail.sql, 'signaling'))!.publishedNote!
    await trail.record(messages(1_000))
    const log = (await findLog(trail.sql, 'signaling'))!
    const records = (await readEntries(trail.sql, log.id, 0, log.size)).map(({ entry }) => entry)
    const { url } = await startAuditServer(t, trail)
    const token = ADMIN.slice('Bearer '.length)
    const line = await program.verify(url, { older: [older, log.publishedNote!], records })
    assert.equal(
      line,
      'go: 1300 records and every tile under the root signed by relay.example/logs/signaling, which continues 2 older ones'
    )
    t.diagnostic(line)
    assert.equal(await program.verify(url, { older: [older, log.publishedNote!], token }), line)

    await assert.rejects(program.verify(url, { older: [] }), /FAILED, .*\/entries\/.* answers 401/)
    const changed = records.with(700, Buffer.concat([records[700]!, Buffer.from(' ')]))
    await assert.rejects(program.verify(url, { older: [], records: changed }), /record 700 is not what its tile says/)
    const wrong = older.replace('\n300\n', '\n299\n')
    await assert.rejects(program.verify(url, { older: [wrong] }), /FAILED, checkpoint/)
    const contradiction = await signNote(
      checkpointText({ ...parseCheckpoint(older), root: Buffer.alloc(32) }),
      [trail.node.name],
      trail.node.key
    )
    await assert.rejects(program.verify(url, { older: [contradiction] }), /FAILED, consistency/)
  }
)
