import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { parseRecord } from '../../src/audit/record.ts'
import { postgresSource } from '../../src/audit/sources.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { readEntries } from '../../src/store/audit-entry.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { openNote, parseCheckpoint } from '../../src/tlog/note.ts'
import { leafHash, rootOf } from '../../src/tlog/tree.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { buildGoVerifier, needsGo } from './go-verifier.ts'
import { message, openTestTrail, startAuditServer, type TestTrail } from './helpers.ts'

/** Events that come in before each start. */
const ROUND = 20

/** Runs a sequencer that dies at that point; true when it did, false when it came to its end before. */
async function runUntil(trail: TestTrail, dieAt: number): Promise<boolean> {
  const script = ownFile('test/audit/crashing-sequencer.ts')
  const child = spawn(process.execPath, [...OWN_OPTIONS, script, trail.url, trail.dataDir, String(dieAt)], {
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  assert(signal === 'SIGKILL' || code === 0, `the sequencer failed on its own: ${code}`)
  return signal === 'SIGKILL'
}

/** Every checkpoint that was signed and can be found: what is published, what lies beside the key, and whole drafts of that. */
async function signedNow(trail: TestTrail): Promise<string[]> {
  const directory = join(trail.dataDir, 'audit')
  const files = await readdir(directory)
  const notes = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')))
  const published = (await findLog(trail.sql, 'signaling'))?.publishedNote
  return [published, ...notes].filter((note) => typeof note === 'string' && note.endsWith('=\n')) as string[]
}

test('killed at every point in turn, the sequencer loses no record, doubles none, and signs one history', async (t) => {
  const trail = await openTestTrail(t)
  const notes = new Set<string>()
  let sent = 0
  let survived = 0
  for (let dieAt = 1; ; dieAt++) {
    const events = Array.from({ length: ROUND }, (_, number) => message(sent + number))
    await insertAuditEvents(trail.sql, events)
    sent += ROUND
    const died = await runUntil(trail, dieAt)
    for (const note of await signedNow(trail)) notes.add(note)
    if (!died) break
    survived += 1
  }
  assert(survived > 15, `only ${survived} points`)
  await trail.settle()
  for (const note of await signedNow(trail)) notes.add(note)
  t.diagnostic(`${survived} kills survived, ${notes.size} signed checkpoints compared`)

  const log = (await findLog(trail.sql, 'signaling'))!
  assert.equal(log.size, sent)
  const entries = await readEntries(trail.sql, log.id, 0, log.size)
  const numbers = entries.map(({ entry }) => (parseRecord(entry) as { acceptedAtMs: number }).acceptedAtMs)
  assert.deepEqual(
    numbers,
    Array.from({ length: sent }, (_, number) => message(number).acceptedAt)
  )
  const leaves = entries.map(({ entry }) => leafHash(entry))
  const verifier = nodeVerifier(trail.node)
  const signed = Array.from(notes, (note) => parseCheckpoint(openNote(note, verifier)))
  for (const { size, root } of signed) assert.deepEqual(Buffer.from(root), Buffer.from(rootOf(leaves.slice(0, size))))
  const source = postgresSource(trail.database, log)
  const verdict = await verifyLog({ network: 'signaling', source, verifier })
  assert.deepEqual(verdict.findings, [])
  if ((await needsGo()).skip === undefined) {
    const { url } = await startAuditServer(t, trail)
    const program = await buildGoVerifier(t)
    const records = entries.map(({ entry }) => entry)
    t.diagnostic(await program.verify(url, { older: [...notes], records }))
  }
})
