// A log served by the real plugin, verified by Go's golang.org/x/mod/sumdb: see test/audit/go/main.go.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEntries } from '../../src/store/audit-entry.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { buildGoVerifier, missingForGo } from './go-verifier.ts'
import { messages, openTestTrail, startAuditServer } from './helpers.ts'

const missing = await missingForGo()
const options = missing === undefined || process.env.CI === 'true' ? {} : { skip: missing }

test(
  'a program that shares nothing with us verifies signature, tiles, records and proofs of a real log',
  options,
  async (t) => {
    const program = await buildGoVerifier(t)
    const trail = await openTestTrail(t, { batchEvents: 1_000 })
    await trail.record(messages(300))
    const older = (await findLog(trail.sql, 'signaling'))!.publishedNote!
    await trail.record(messages(1_000))
    const log = (await findLog(trail.sql, 'signaling'))!
    const records = (await readEntries(trail.sql, log.id, 0, log.size)).map(({ entry }) => entry)
    const { url } = await startAuditServer(t, trail)
    const line = await program.verify(url, records, older)
    assert.equal(
      line,
      'go: 1300 records and every tile under the root signed by relay.example/logs/signaling, which continues its tree of 300'
    )
    t.diagnostic(line)

    const changed = records.with(700, Buffer.concat([records[700]!, Buffer.from(' ')]))
    await assert.rejects(program.verify(url, changed, older), /record 700 is not what its tile says/)
    await assert.rejects(program.verify(url, records, older.replace('\n300\n', '\n299\n')), /FAILED, checkpoint/)
  }
)
