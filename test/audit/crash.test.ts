import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { type Checkpoint, openNote, parseCheckpoint } from '../../src/audit/note.ts'
import { parseRecord } from '../../src/audit/record.ts'
import { postgresSource } from '../../src/audit/sources.ts'
import { leafHash, rootOf } from '../../src/audit/tree.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { packageFile } from '../../src/package-root.ts'
import { readEntries } from '../../src/store/audit-entry.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { buildGoVerifier, missingForGo } from './go-verifier.ts'
import { message, openTestTrail, startAuditServer, type TestTrail } from './helpers.ts'

const missing = await missingForGo()

/** Events that come in before each start. */
const ROUND = 20

/** Runs a sequencer that dies at that point; true when it did, false when it came to its end before. */
async function runUntil(trail: TestTrail, dieAt: number): Promise<boolean> {
  const script = packageFile('test/audit/crashing-sequencer.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, trail.url, trail.dataDir, String(dieAt)], {
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  assert(signal === 'SIGKILL' || code === 0, `the sequencer failed on its own: ${code}`)
  return signal === 'SIGKILL'
}

/** What others can know to be signed: what is published, and what lies beside the key. */
async function signedNow(trail: TestTrail): Promise<Checkpoint[]> {
  const verifier = nodeVerifier(trail.node)
  const log = await findLog(trail.sql, 'signaling')
  const file = await readFile(join(trail.dataDir, 'audit/signaling.checkpoint'), 'utf8').catch(() => undefined)
  const notes = [log?.publishedNote, file].filter((note) => typeof note === 'string')
  return notes.map((note) => parseCheckpoint(openNote(note, verifier)))
}

test('killed at every point in turn, the sequencer loses no record, doubles none, and signs one history', async (t) => {
  const trail = await openTestTrail(t)
  const signed: Checkpoint[] = []
  let sent = 0
  let survived = 0
  let firstNote = ''
  for (let dieAt = 1; ; dieAt++) {
    const events = Array.from({ length: ROUND }, (_, number) => message(sent + number))
    await insertAuditEvents(trail.sql, events)
    sent += ROUND
    const died = await runUntil(trail, dieAt)
    signed.push(...(await signedNow(trail)))
    firstNote ||= (await findLog(trail.sql, 'signaling'))?.publishedNote ?? ''
    if (!died) break
    survived += 1
  }
  assert(survived > 15, `only ${survived} points`)
  t.diagnostic(`${survived} kills survived, ${signed.length} signed checkpoints compared`)

  await trail.settle()
  signed.push(...(await signedNow(trail)))
  const log = (await findLog(trail.sql, 'signaling'))!
  assert.equal(log.size, sent)
  const entries = await readEntries(trail.sql, log.id, 0, log.size)
  const numbers = entries.map(({ entry }) => (parseRecord(entry) as { acceptedAtMs: number }).acceptedAtMs)
  assert.deepEqual(
    numbers,
    Array.from({ length: sent }, (_, number) => message(number).acceptedAt)
  )
  const leaves = entries.map(({ entry }) => leafHash(entry))
  for (const { size, root } of signed) assert.deepEqual(Buffer.from(root), Buffer.from(rootOf(leaves.slice(0, size))))
  const source = postgresSource(trail.database, log)
  const verdict = await verifyLog({ network: 'signaling', source, verifier: nodeVerifier(trail.node) })
  assert.deepEqual(verdict.findings, [])
  if (missing === undefined || process.env.CI === 'true') {
    const { url } = await startAuditServer(t, trail)
    const program = await buildGoVerifier(t)
    t.diagnostic(
      await program.verify(
        url,
        entries.map(({ entry }) => entry),
        firstNote
      )
    )
  }
})
