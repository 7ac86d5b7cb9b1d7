import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyTestDatabase } from '../helpers/database.ts'

test('a bigint is a number, up to 2^53', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const [row] = await sql`select ${Number.MAX_SAFE_INTEGER}::bigint as most, 0::bigint as least`
  assert.deepEqual({ ...row }, { most: Number.MAX_SAFE_INTEGER, least: 0 })
})

test('lists survive the way to the database and back', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const texts = ['plain', 'a,b', '"quoted" \\ back', 'NULL', null, '', '{}', 'line\nend', 'ünï€😀', "it's"]
  const bytes = [Buffer.from([0, 255, 34, 92]), Buffer.alloc(0), null]
  const dates = [new Date(0), new Date('2026-01-02T03:04:05.678Z')]
  const [row] = await sql`
    select ${texts}::text[] as texts, ${[1, -2, 2 ** 52, null]}::bigint[] as numbers, ${[]}::text[] as none,
      ${sql.array([true, false])} as flags, ${sql.array(bytes, 1001)} as bytes, ${sql.array(dates)} as dates`
  assert.deepEqual(row?.texts, texts)
  assert.deepEqual(row?.numbers, [1, -2, 2 ** 52, null])
  assert.deepEqual(row?.none, [])
  assert.deepEqual(row?.flags, [true, false])
  assert.deepEqual(row?.bytes, bytes)
  assert.deepEqual(row?.dates, dates)
})

test('lists mean in the database what they mean here', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const texts = ['a,b', '"', '\\', 'null']
  const rows = await sql`select value from unnest(${texts}::text[]) with ordinality as u (value, place) order by place`
  assert.deepEqual(
    rows.map((row) => row.value),
    texts
  )
})
