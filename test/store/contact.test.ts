// Which senders the owner of a mailbox does not know.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Pair, strangers } from '../../src/store/contact.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { explainedSql } from '../helpers/plans.ts'

const OF_EACH = 20_000

const pair = (sender: string, recipient: string): Pair => ({ network: 'n', sender, recipient })

test('a question about some pairs reads the rows of these, though each peer has written to thousands', async (t) => {
  const { url, sql: plain } = await createTestDatabase(t)
  await plain`alter table contact set (autovacuum_enabled = off)`
  const { sql, plansOf } = await explainedSql(t, url)
  const pairs = Array.from({ length: 100 }, (_, n) => pair(`sender-${n % 4}`, `nobody-${n}`))
  for (let n = 0; n < 10; n++) await strangers(sql, pairs) // the plan is that of an empty table from now on
  await sql`
    insert into contact (network, sender, recipient, since)
    select 'n', 'sender-' || s, 'recipient-' || r, now() - interval '2 days'
    from generate_series(0, 3) as s, generate_series(1, ${OF_EACH}) as r`

  const asked = [...pairs, pair('sender-1', 'recipient-1'), pair('recipient-2', 'sender-2')]
  let isStranger: ((message: Pair) => boolean) | undefined
  const plans = await plansOf(async () => {
    isStranger = await strangers(sql, asked)
  })
  assert.deepEqual(asked.map(isStranger!), [...pairs.map(() => true), false, false])
  const rows = plans.filter(({ table }) => table === 'contact').reduce((sum, plan) => sum + plan.rows, 0)
  assert.ok(rows < 1_000, `${rows} rows were read`)
})
