import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { migrate } from '../../src/database/migrate.ts'
import { Pool, type Sql } from '../../src/database/pool.ts'
import { StartError } from '../../src/util/start-error.ts'
import { atEnd } from '../helpers/at-end.ts'
import { emptyTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const FIRST = { '0001_parcel.sql': 'create table parcel (id int);\ninsert into parcel values (1), (2);\n' }
const SECOND = {
  '0002_stamp.sql': "-- what's on it; a comment\ncreate table stamp (id int); create index on stamp (id);"
}

async function directoryWith(t: TestContext, files: Record<string, string>): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'migrations')
  await mkdir(directory)
  await write(directory, files)
  return directory
}

const write = (directory: string, files: Record<string, string>) =>
  Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(directory, name), text)))

async function tables(sql: Sql): Promise<string[]> {
  const rows =
    await sql`select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`
  return rows.map((row) => row.relname)
}

test('an empty database gets every migration, in order, each with all its statements', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, { ...SECOND, ...FIRST, 'README.md': 'not a migration' })
  assert.deepEqual(await migrate(sql, directory), ['0001_parcel.sql', '0002_stamp.sql'])
  assert.deepEqual(await tables(sql), ['parcel', 'schema_migration', 'stamp'])
  assert.equal((await sql`select from parcel`).length, 2)
})

test('migrating twice changes nothing the second time', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, FIRST)
  await migrate(sql, directory)
  assert.deepEqual(await migrate(sql, directory), [])
  assert.equal((await sql`select from parcel`).length, 2)
})

test('a later server adds only what is new', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, FIRST)
  await migrate(sql, directory)
  await write(directory, SECOND)
  assert.deepEqual(await migrate(sql, directory), ['0002_stamp.sql'])
})

test('ten servers that migrate an empty database at once all succeed, and each migration runs once', async (t) => {
  const { sql, url } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, { ...FIRST, ...SECOND, '0003_slow.sql': 'select pg_sleep(0.2)' })
  const servers = Array.from({ length: 10 }, () => new Pool({ url, size: 2, statementMs: 100, log: silentLog }))
  atEnd(t, () => Promise.all(servers.map((server) => server.end(500))))
  const applied = await Promise.all(servers.map((server) => migrate(server.sql, directory)))
  assert.deepEqual(applied.flat().sort(), ['0001_parcel.sql', '0002_stamp.sql', '0003_slow.sql'])
  assert.equal((await sql`select from parcel`).length, 2)
})

test('a migration may take longer than the deadline of a query', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const hasty = new Pool({ url, size: 1, statementMs: 100, log: silentLog })
  atEnd(t, () => hasty.end(500))
  const directory = await directoryWith(t, { '0001_slow.sql': 'select pg_sleep(0.4)' })
  assert.deepEqual(await migrate(hasty.sql, directory), ['0001_slow.sql'])
})

test('an applied migration that was edited is an error which names it', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, FIRST)
  await migrate(sql, directory)
  await write(directory, { '0001_parcel.sql': 'create table parcel (id bigint)', ...SECOND })
  await assert.rejects(migrate(sql, directory), (error: Error) => {
    assert.ok(error instanceof StartError)
    assert.match(error.message, /0001_parcel\.sql was edited/)
    return true
  })
  assert.deepEqual(await tables(sql), ['parcel', 'schema_migration'])
})

test('other line ends do not count as an edit', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, FIRST)
  await migrate(sql, directory)
  await write(directory, { '0001_parcel.sql': FIRST['0001_parcel.sql'].replaceAll('\n', '\r\n') })
  assert.deepEqual(await migrate(sql, directory), [])
})

test('a migration that is put before an applied one, or taken away, is an error', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, SECOND)
  await migrate(sql, directory)
  await write(directory, FIRST)
  await assert.rejects(migrate(sql, directory), /has migration 0002_stamp\.sql where the files have 0001_/)
  await rm(join(directory, '0002_stamp.sql'))
  await write(directory, { '0003_later.sql': 'select 1' })
  await assert.rejects(migrate(sql, directory), /has migration 0002_stamp\.sql where the files have 0001_/)
})

test('a migration that fails leaves nothing of itself behind, and is named', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, { ...FIRST, '0002_broken.sql': 'create table half (id int); select 1 / 0;' })
  await assert.rejects(migrate(sql, directory), /migration 0002_broken\.sql failed: division by zero/)
  assert.deepEqual(await tables(sql), ['parcel', 'schema_migration'])
  await write(directory, { '0002_broken.sql': 'create table half (id int)' })
  assert.deepEqual(await migrate(sql, directory), ['0002_broken.sql'])
})

test('a database that a newer server migrated is refused as too new', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const directory = await directoryWith(t, { ...FIRST, ...SECOND })
  await migrate(sql, directory)
  await rm(join(directory, '0002_stamp.sql'))
  await assert.rejects(
    migrate(sql, directory),
    /has migration 0002_stamp\.sql, this demos-relay knows up to 1: use a newer one/
  )
})

test('two migrations with one number, or a name without a number, are refused', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const twice = await directoryWith(t, { ...FIRST, '0001_other.sql': 'select 1' })
  await assert.rejects(migrate(sql, twice), /two migrations have the number/)
  const unnamed = await directoryWith(t, { 'parcel.sql': 'select 1' })
  await assert.rejects(migrate(sql, unnamed), /is not named like/)
})
