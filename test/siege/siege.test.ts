import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSiege } from './siege.ts'

/** How long each attack goes on here; `npm run siege` has more of them, for longer, and measures. */
const ATTACK_MS = 4_000
const CLAIMS = 'claims of a name of another'

test('beside attackers nothing of a quiet pair is refused or lost, and its owner gets into its name', async (t) => {
  const siege = await openSiege(t)
  for (const attack of ['frames of one byte', CLAIMS, 'messages that never end']) {
    const row = await siege.run(attack, ATTACK_MS)
    t.diagnostic(JSON.stringify(row))
    assert.deepEqual([row.refused, row.lost], [0, 0], attack)
    assert.ok(row.sent > 0 && row.megabytes < 300, attack)
    if (attack === CLAIMS) assert.ok(row.returned > 0)
  }
  assert.deepEqual(siege.problems, [])
})
