// Mailboxes are found by the beginning of their names, whatever the case of its letters, and the others are passed over.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Sql } from '../../src/database/database.ts'
import { compareNames, lowered, startsWith } from '../../src/presence/names.ts'
import { countMailboxes, listMailboxes, sortMailboxes } from '../../src/store/mailbox-overview.ts'
import { createTestDatabase } from '../helpers/database.ts'
import { explainedSql } from '../helpers/plans.ts'

const deep = { key: 'depth', isDescending: true } as const

async function fill(sql: Sql, mailboxes: readonly (readonly [network: string, recipient: string])[]): Promise<void> {
  await sql`
    insert into queue_entry (network, sender, recipient, sealed, size_bytes, slot, accepted_at, expires_at)
    select network, 'alice', recipient, '"x"', 3, false, 1, 1e15
    from unnest(${mailboxes.map(([network]) => network)}::text[], ${mailboxes.map(([, recipient]) => recipient)}::text[])
      as box (network, recipient)`
}

test('a search finds the mailboxes whose names begin so, in either order, from any place', async (t) => {
  const { sql } = await explainedSql(t, (await createTestDatabase(t)).url)
  const name = fc.string({
    unit: fc.constantFrom('a', 'A', 'b', 'Z', '5', '-', 'é', '\u{1f600}'),
    minLength: 1,
    maxLength: 4
  })
  const mailbox = fc.tuple(fc.constantFrom('demo', 'signaling', 'Team'), name)
  const found = fc.asyncProperty(
    fc.uniqueArray(mailbox, { selector: String, maxLength: 30 }),
    name,
    mailbox,
    async (all, text, after) => {
      await sql`delete from queue_entry`
      await fill(sql, all)
      const search = lowered(text)
      const filter = { network: undefined, recipient: undefined, search }
      const order = (a: readonly string[], b: readonly string[]) =>
        compareNames(a[0]!, b[0]!) || compareNames(a[1]!, b[1]!)
      const expected = all.filter(([, recipient]) => startsWith(recipient, search)).sort(order)
      const places = (list: readonly { network: string; recipient: string }[]) =>
        list.map((box) => [box.network, box.recipient])
      assert.deepEqual(places(await listMailboxes(sql, filter, undefined, 50)), expected)
      const behind = expected.filter((box) => order(box, after) > 0)
      assert.deepEqual(places(await listMailboxes(sql, filter, after, 50)), behind)
      assert.deepEqual(places(await listMailboxes(sql, filter, undefined, 50, true)), expected.toReversed())
      const before = expected.filter((box) => order(box, after) < 0).toReversed()
      assert.deepEqual(places(await listMailboxes(sql, filter, after, 50, true)), before)
      assert.equal(await countMailboxes(sql, filter, 5_000), expected.length)
      const sorted = await sortMailboxes(sql, filter, deep, undefined, { limit: 50, ms: 5_000 })
      assert.deepEqual(places(sorted), expected, 'equally deep ones are sorted by name')
    }
  )
  await fc.assert(found, { numRuns: 150 })
})

test('a search reads what it finds, and next to nothing else', async (t) => {
  const { sql, plansOf } = await explainedSql(t, (await createTestDatabase(t)).url)
  const names = Array.from({ length: 1_000 }, (_, n) =>
    ['peer', 'Peer', 'PEER', '3fa9', 'zoe'].map((word) => `${word}-${n}`)
  )
  await fill(
    sql,
    names.flat().flatMap(
      (recipient) =>
        [
          ['demo', recipient],
          ['signaling', recipient]
        ] as const
    )
  )
  await sql`vacuum (analyze) queue_entry`
  const readsOf = async (read: () => PromiseLike<unknown>) => {
    const reads = (await plansOf(read)).filter(({ table }) => table === 'queue_entry')
    assert.deepEqual(
      [...new Set(reads.map(({ type, index }) => `${type} ${index}`))],
      ['Index Only Scan queue_entry_pkey']
    )
    return reads.reduce((sum, { rows }) => sum + rows, 0)
  }
  for (const [search, found] of [
    ['peer-999', 6],
    ['3FA9-77', 22],
    ['zoe-5', 222],
    ['nobody', 0]
  ] as const) {
    const filter = { network: undefined, recipient: undefined, search: lowered(search) }
    for (const isDescending of [false, true]) {
      const rows = await readsOf(() => listMailboxes(sql, filter, undefined, 11, isDescending))
      assert.ok(rows <= 60, `${search}: ${rows} rows were read for a page of 11 mailboxes`)
    }
    assert.equal(await countMailboxes(sql, filter, 5_000), found)
    for (const read of [
      () => countMailboxes(sql, filter, 5_000),
      () => sortMailboxes(sql, filter, deep, undefined, { limit: 11, ms: 5_000 })
    ]) {
      const rows = await readsOf(read)
      assert.ok(rows <= 60 + 3 * found, `${search}: ${rows} rows of 10,000 were read`)
    }
  }
})
