import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ago, counted, painter, plain, shortName, size, span } from '../../src/cli/format.ts'
import { table } from '../../src/cli/output.ts'

test('spans, sizes and counts are put in their largest unit', () => {
  const spans = [0, 1, 59, 60, 119, 7_200, 86_399, 86_400, 1_000_000].map(span)
  assert.deepEqual(spans, [
    'no time',
    '1 second',
    '59 seconds',
    '1 minute',
    '1 minute',
    '2 hours',
    '23 hours',
    '1 day',
    '11 days'
  ])
  assert.deepEqual([ago(0.3), ago(61)], ['just now', '1 minute ago'])
  assert.deepEqual([0, 1_023, 1_024, 1_536, 1_048_576, 131_072].map(size), [
    '0 B',
    '1.02 kB',
    '1.02 kB',
    '1.54 kB',
    '1.05 MB',
    '131 kB'
  ])
  assert.deepEqual(
    [counted(1, 'peer'), counted(0, 'peer'), counted(1_234, 'peer')],
    ['1 peer', '0 peers', '1,234 peers']
  )
})

test('keys are shortened to what tells them apart, other long names to their beginning', () => {
  const key = `${'0123456789abcdef'.repeat(4)}`
  assert.equal(shortName(key), '01234567…cdef')
  assert.equal(shortName(`ml-dsa:${key}`), 'ml-dsa:01234567…cdef')
  assert.equal(shortName('alice'), 'alice')
  assert.equal(shortName('n'.repeat(25)), `${'n'.repeat(23)}…`)
})

test('untrusted text cannot move the cursor, break a line, change the writing direction, or hide', () => {
  assert.equal(plain('a\x1b[2Jb\r\nc\u009bd\u2028e\u202ef'), 'a\\u001b[2Jb\\u000d\\nc\\u009bd\\u2028e\\u202ef')
  assert.equal(plain('naïve 日本 👋 مرحبا'), 'naïve 日本 👋 مرحبا')
  assert.equal(plain('an\u200bn\u200d\ufeff\u{e0041}\ud800'), 'an\\u200bn\\u200d\\ufeff\\udb40\\udc41\\ud800')
})

test('a table is aligned, numbers to the right, and without spaces at the end', () => {
  const rows = [
    { name: 'a', count: 5 },
    { name: 'longer', count: 12_345 }
  ]
  const columns = [
    { head: 'COUNT', cell: ({ count }: { count: number }) => String(count), right: true as const },
    { head: 'NAME', cell: ({ name }: { name: string }) => name }
  ]
  assert.equal(table(rows, columns, painter(false)), 'COUNT  NAME\n    5  a\n12345  longer\n')
  assert.match(table(rows, columns, painter(true)), /^\x1b\[1mCOUNT {2}NAME\x1b\[0m\n/)
})
