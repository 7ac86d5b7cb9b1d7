// Pages of peers: walked through, they are the list; their order is the database's.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareNames, Names } from '../../src/presence/names.ts'
import { createTestDatabase } from '../helpers/database.ts'

const name = fc.oneof(fc.string({ minLength: 1, maxLength: 4 }), fc.string({ unit: 'grapheme', maxLength: 3 }))

test('pages one after the other are the peers with a prefix, each once, in order', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(name),
      fc.integer({ min: 1, max: 5 }),
      fc.string({ maxLength: 1 }),
      (all, limit, prefix) => {
        const names = new Names()
        for (const each of [...all, 'gone']) names.add(each)
        names.delete('gone')
        const walked: string[] = []
        for (let after: string | undefined, hasMore = true; hasMore; after = walked.at(-1)) {
          const page = names.page({ after, prefix, limit })
          hasMore = page.hasMore
          assert.ok(page.peers.length <= limit && (!hasMore || page.peers.length === limit))
          walked.push(...page.peers)
        }
        const expected = all.filter((each) => each !== 'gone' && each.startsWith(prefix)).sort(compareNames)
        assert.deepEqual(walked, expected)
      }
    )
  )
})

test('names are in the order of the collation "C" of PostgreSQL', async (t) => {
  const { sql } = await createTestDatabase(t)
  const units = ['a', 'b', 'A', '0', 'é', '\u07ff', '\ud7ff', '\ue000', '\uffff', '😀', '𐀀', '~', '_']
  const all = units.flatMap((unit) => [unit, `a${unit}`, `${unit}b`, `😀${unit}`])
  const rows = await sql`select name from unnest(${all}::text[]) as given (name) order by name collate "C"`
  assert.deepEqual(
    [...all].sort(compareNames),
    rows.map((row) => row.name)
  )
})
