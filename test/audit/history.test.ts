import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nodeVerifier } from '../../src/audit/node-key.ts'
import { subtreeHashes } from '../../src/audit/stored-tree.ts'
import { findLog } from '../../src/store/audit-log.ts'
import { openNote, parseCheckpoint } from '../../src/tlog/note.ts'
import { consistencyRanges, verifyConsistency } from '../tlog/proofs.ts'
import { messages, openTestTrail, someNetwork } from './helpers.ts'

test('however records come in, and however often the server restarts, every checkpoint continues every earlier one', async (t) => {
  const first = await openTestTrail(t, { batchEvents: 90 })
  const steps = fc.array(fc.record({ records: fc.integer({ min: 0, max: 200 }), restart: fc.boolean() }), {
    maxLength: 6
  })
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const network = someNetwork()
      const seen: { size: number; root: Uint8Array }[] = []
      let trail = first
      for (const { records, restart } of history) {
        if (restart) trail = await openTestTrail(t, { ...first, batchEvents: 77 })
        await trail.record(messages(records, { network }))
        const log = await findLog(trail.sql, network)
        if (log === undefined) continue
        const { size, root } = parseCheckpoint(openNote(log.publishedNote!, nodeVerifier(trail.node)))
        for (const earlier of seen) {
          const proof = await subtreeHashes(trail.sql, log, consistencyRanges(earlier.size, size))
          verifyConsistency(earlier.size, earlier.root, size, root, proof)
        }
        seen.push({ size, root })
      }
      assert.equal(
        seen.at(-1)?.size ?? 0,
        history.reduce((sum, { records }) => sum + records, 0)
      )
    }),
    { numRuns: 10 }
  )
})
