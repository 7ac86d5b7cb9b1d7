import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openDatabase } from '../../src/database/database.ts'
import { StartError } from '../../src/util/start-error.ts'
import { atEnd } from '../helpers/at-end.ts'
import { asAdmin, emptyTestDatabase } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { dealt, knownSettings, settingsSeed, storeTestsPass } from './settings.ts'

/** What was found to change keys, dates, plans or isolation. */
const HOSTILE = {
  ...{ bytea_output: 'escape', DateStyle: 'German, DMY', IntervalStyle: 'sql_standard', TimeZone: 'Asia/Kolkata' },
  ...{ default_transaction_isolation: 'serializable', array_nulls: 'off', transform_null_equals: 'on' },
  ...{ standard_conforming_strings: 'off', extra_float_digits: '-15', client_encoding: 'LATIN1', exit_on_error: 'on' },
  ...{ enable_indexscan: 'off', enable_bitmapscan: 'off', enable_indexonlyscan: 'off', plan_cache_mode: 'auto' },
  ...{ synchronous_commit: 'off', statement_timeout: '1000', idle_in_transaction_session_timeout: '1000' },
  ...{
    random_page_cost: '10000',
    work_mem: '64',
    join_collapse_limit: '1',
    geqo_threshold: '2',
    quote_all_identifiers: 'on'
  }
}

test('the store works as ever where text, isolation, plans and time are set otherwise for the database', async (t) => {
  await storeTestsPass(t, HOSTILE, /slots|page/)
})

test('the store works as ever under some settings of the database (the long test tries all)', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const known = await knownSettings(sql)
  assert.ok(Object.keys(known).length > 100)
  const [settings] = dealt(known, 30, settingsSeed())
  await storeTestsPass(t, settings!, /releases|l2ps/)
})

test('settings by which planning any join fails are out of the way before there is one', async (t) => {
  await storeTestsPass(t, { geqo_threshold: '2', geqo_pool_size: '2147483647', from_collapse_limit: '1' }, /page/)
})

test('what is set for the role is put right, too, and keys come back as they went', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const role = `role_${randomBytes(4).toString('hex')}`
  await asAdmin(async (admin) => {
    await admin.unsafe(`create role ${role} login password 'x'`)
    for (const [name, value] of Object.entries(HOSTILE))
      await admin.unsafe(`alter role ${role} set ${name} = '${value}'`)
  })
  atEnd(t, () => asAdmin((admin) => admin.unsafe(`drop role ${role}`)))
  const target = Object.assign(new URL(url), { username: role, password: 'x' })
  const database = await openDatabase(
    { url: target.href, dataDir: '/nonexistent', poolSize: 2, deadlineMs: 5_000 },
    silentLog
  )
  atEnd(t, () => database.close())
  const bytes = randomBytes(64)
  const [row] = await database.sql<{ bytes: Buffer; time: Date; nothing: string[]; level: string; durable: string }[]>`
    select ${bytes}::bytea as bytes, '2026-02-01T03:04:05Z'::timestamptz as time, ${['null', 'a"b\\c']}::text[] as nothing,
      current_setting('transaction_isolation') as level, current_setting('synchronous_commit') as durable`
  assert.deepEqual(
    { ...row, bytes: row!.bytes.toString('hex') },
    {
      ...{ bytes: bytes.toString('hex'), time: new Date('2026-02-01T03:04:05Z'), nothing: ['null', 'a"b\\c'] },
      ...{ level: 'read committed', durable: 'on' }
    }
  )
})

for (const encoding of ['SQL_ASCII', 'LATIN1']) {
  test(`a database in ${encoding} is refused at the start, with the remedy`, async (t) => {
    const name = `test_${randomBytes(8).toString('hex')}`
    await asAdmin((admin) =>
      admin.unsafe(`create database ${name} encoding '${encoding}' locale_provider libc locale 'C' template template0`)
    )
    atEnd(t, () => asAdmin((admin) => admin.unsafe(`drop database ${name} with (force)`)))
    const { url } = await emptyTestDatabase(t)
    const target = Object.assign(new URL(url), { pathname: name })
    const opening = openDatabase(
      { url: target.href, dataDir: '/nonexistent', poolSize: 2, deadlineMs: 5_000 },
      silentLog
    )
    await assert.rejects(opening, (error: Error) => {
      assert.ok(error instanceof StartError)
      assert.match(error.message, new RegExp(`encoded in ${encoding}, .* encoding 'UTF8'`))
      return true
    })
  })
}
