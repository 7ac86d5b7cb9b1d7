import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadNodeKey } from '../../src/audit/node-key.ts'
import { type Facts, MANIFEST, manifestText, PLATFORM, parseManifest } from '../../src/backup/manifest.ts'
import { filesBelow, measurePart, verifyParts } from '../../src/backup/parts.ts'
import { placeOf } from '../../src/backup/places.ts'
import { findFitting, withoutPassword } from '../../src/backup/postgres.ts'
import { newestMigration } from '../../src/database/migrate.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { callCli } from '../helpers/cli.ts'
import { createTestDatabase, emptyTestDatabase, temporaryDirectory } from '../helpers/database.ts'

const FACTS: Facts = {
  kind: 'dump',
  createdAt: '2026-01-31T12:00:00.000Z',
  demosRelay: '0.1.0',
  schema: 1,
  postgres: { server: 15, dumpedBy: 15 },
  platform: PLATFORM,
  verifier: null,
  directories: [],
  parts: [{ path: 'node.key', bytes: 3, sha256: '0'.repeat(64) }]
}

/** A backup with these files; what the manifest says of itself can be another thing. */
async function backupWith(
  t: TestContext,
  files: Record<string, string>,
  changes: Partial<Facts> = {}
): Promise<string> {
  const backup = join(await temporaryDirectory(t), 'saved')
  const parts = []
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(backup, path, '..'), { recursive: true })
    await writeFile(join(backup, path), text)
    parts.push(await measurePart(join(backup, path), path))
  }
  await writeFile(join(backup, MANIFEST), manifestText({ ...FACTS, parts, ...changes }))
  return backup
}

test('any changed bit of a manifest is noticed', () => {
  const text = manifestText(FACTS)
  assert.deepEqual(parseManifest(text), { format: 1, ...FACTS })
  const bytes = Buffer.from(text)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    assert.throws(() => parseManifest(changed.toString('latin1')), /is damaged/, `bit ${bit}`)
  }
  for (const cut of ['', '\n', text.slice(0, -1), text.slice(1), `${text}\n`]) assert.throws(() => parseManifest(cut))
})

test('a manifest of another format, or that leads out of the backup, is refused', () => {
  const forged = (changes: object) => manifestText({ ...FACTS, ...changes } as Facts)
  assert.throws(() => parseManifest(forged({ format: 2 })), /has format 2, this demos-relay knows 1/)
  assert.throws(() => parseManifest(forged({ kind: 'tar' })), /is not of its format: kind must be one of dump, cluster/)
  const [part] = FACTS.parts
  for (const path of ['../node.key', '/etc/passwd', 'audit/../../x', 'audit/..', '..', './x', 'a\\..\\b', '']) {
    assert.throws(
      () => parseManifest(forged({ parts: [{ ...part, path }] })),
      /not of its format: parts\/0\/path must be a path below/,
      path
    )
  }
  assert.equal(parseManifest(forged({ parts: [{ ...part, path: 'l2ps/a..b/config.json' }] })).parts.length, 1)
})

test('a part that is damaged, missing or too many is named', async (t) => {
  const backup = await backupWith(t, { 'node.key': 'key', 'audit/signaling.checkpoint': 'a checkpoint' })
  const verify = async () =>
    verifyParts(backup, parseManifest(await readFile(join(backup, MANIFEST), 'utf8')), () => {})
  await verify()
  const file = join(backup, 'audit/signaling.checkpoint')
  await writeFile(file, 'a chackpoint')
  await assert.rejects(verify(), /^Error: audit\/signaling\.checkpoint is damaged: its SHA-256/)
  await writeFile(file, 'a checkpoin')
  await assert.rejects(verify(), /^Error: audit\/signaling\.checkpoint is damaged: 11 bytes where 12 were saved/)
  await rm(file)
  await assert.rejects(verify(), /^Error: audit\/signaling\.checkpoint is missing/)
  await writeFile(file, 'a checkpoint')
  await writeFile(join(backup, 'l2ps.json'), '{}')
  await assert.rejects(verify(), /^Error: l2ps\.json is not part of the backup/)
})

test('restore looks at every file first: a flipped bit ends it with nothing changed', async (t) => {
  const backup = await backupWith(t, { 'node.key': 'key', 'database.dump': 'a dump' })
  await writeFile(join(backup, 'database.dump'), 'a dunp')
  const { url } = await emptyTestDatabase(t)
  const dataDir = join(await temporaryDirectory(t), 'data')
  const env = { DATA_DIR: dataDir, DATABASE_URL: url }
  const { code, stdout, stderr } = await callCli(['restore', '--from', backup], env)
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^demos-relay restore: database\.dump is damaged: /)
  assert.deepEqual(await filesBelow(dataDir), { files: [], directories: [] })
  const check = await callCli(['restore', '--from', backup, '--check'], env)
  assert.deepEqual([check.code, check.stderr], [1, stderr])
  await writeFile(join(backup, 'database.dump'), 'a dump')
  assert.deepEqual(
    (await callCli(['restore', '--from', backup, '--check'], env)).stdout,
    'backup of 2026-01-31T12:00:00.000Z (dump): 2 files, all as saved\n'
  )
})

test('restore refuses what cannot fit, and says what would', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const full = await createTestDatabase(t)
  const refusal = async (changes: Partial<Facts>, env: Record<string, string>) => {
    const backup = await backupWith(t, { 'database.dump': 'a dump' }, changes)
    const { code, stderr } = await callCli(['restore', '--from', backup], {
      DATA_DIR: await temporaryDirectory(t),
      ...env
    })
    assert.equal(code, 1)
    return stderr
  }
  const cluster = { kind: 'cluster', postgres: { server: 18 } } as const
  const newer = (await newestMigration(packageFile('migrations'))) + 1
  const cases: [Partial<Facts>, Record<string, string>, RegExp][] = [
    [
      { schema: newer, demosRelay: '9.0.0' },
      { DATABASE_URL: url },
      /of demos-relay 9\.0\.0, with migration \d+; this one knows up to \d+: use a newer one/
    ],
    [cluster, { DATABASE_URL: url }, /files of an embedded database, which DATABASE_URL cannot take/],
    [{ ...cluster, postgres: { server: 17 } }, {}, /files of PostgreSQL 17, the embedded one is 18/],
    [{ ...cluster, platform: 'sunos-sparc' }, {}, /database files of sunos-sparc, this is /],
    [
      { postgres: { server: 99, dumpedBy: 99 } },
      { DATABASE_URL: url },
      /of PostgreSQL 99, this database is of 18: restore it into 99 or newer/
    ],
    [{}, { DATABASE_URL: full.url }, /the database is not empty \(\d+ tables\)/]
  ]
  for (const [changes, env, words] of cases) assert.match(await refusal(changes, env), words)
  const none = await callCli(['restore', '--from', await temporaryDirectory(t)])
  assert.match(none.stderr, /is not a backup: manifest\.json cannot be read \(ENOENT\)/)
})

test('another key, or another network file, is not overwritten', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const dataDir = await temporaryDirectory(t)
  await loadNodeKey(join(dataDir, 'node.key'))
  const key = await readFile(join(dataDir, 'node.key'), 'utf8')
  const backup = await backupWith(t, { 'database.dump': 'a dump', 'node.key': 'another' })
  const { code, stderr } = await callCli(['restore', '--from', backup], { DATA_DIR: dataDir, DATABASE_URL: url })
  assert.equal(code, 1)
  assert.match(stderr, /node\.key is there already and is another one: --replace puts what is in the way aside/)
  assert.equal(await readFile(join(dataDir, 'node.key'), 'utf8'), key)
})

test('a backup never goes over another one, or over the rest of one', async (t) => {
  const { url } = await createTestDatabase(t)
  const home = await temporaryDirectory(t)
  const env = { DATA_DIR: join(home, 'data'), DATABASE_URL: url }
  const saved = await backupWith(t, { 'node.key': 'key' })
  const over = await callCli(['backup', '--to', saved], env)
  assert.equal(over.code, 1)
  assert.match(over.stderr, /is there already: a backup never replaces anything/)
  assert.equal(await readFile(join(saved, 'node.key'), 'utf8'), 'key')
  await mkdir(join(home, 'new.unfinished'))
  assert.match(
    (await callCli(['backup', '--to', join(home, 'new')], env)).stderr,
    /new\.unfinished is there: a backup under way/
  )
})

test('what is no database of ours is not backed up, and nothing of the attempt is left', async (t) => {
  const { url } = await emptyTestDatabase(t)
  const home = await temporaryDirectory(t)
  const to = join(home, 'saved')
  const empty = await callCli(['backup', '--to', to], { DATABASE_URL: url, DATA_DIR: home })
  assert.deepEqual([empty.code, empty.stdout], [1, ''])
  assert.match(empty.stderr, /the database is not one of demos-relay/)
  const nowhere = await callCli(['backup', '--to', to], { DATA_DIR: home })
  assert.match(nowhere.stderr, /there is no embedded database in /)
  assert.deepEqual(await filesBelow(home), { files: [], directories: [] })
})

test('of several programs the oldest that is new enough is taken; without one, both versions are named', async (t) => {
  const home = await temporaryDirectory(t)
  const places = [13, 18, 16].map((major) => join(home, String(major)))
  for (const place of places) {
    await mkdir(place)
    await writeFile(join(place, 'pg_dump'), `#!/bin/sh\necho "pg_dump (PostgreSQL) ${place.slice(-2)}.4 (Debian)"\n`)
    await chmod(join(place, 'pg_dump'), 0o755)
  }
  const found = (major: number) => findFitting('pg_dump', major, Promise.resolve(places))
  assert.deepEqual(await found(14), { path: join(home, '16', 'pg_dump'), major: 16 })
  assert.equal((await found(18)).major, 18)
  await assert.rejects(
    found(19),
    /the pg_dump programs on this machine are 13 \(.*\), 16 \(.*\), 18 \(.*\), but PostgreSQL 19 needs pg_dump 19 or newer/
  )
  await assert.rejects(
    findFitting('pg_restore', 15, Promise.resolve(places)),
    /there is no pg_restore on this machine, but/
  )
})

test('the password of a connection string is kept from the arguments', () => {
  const cases: [string, string, string | undefined][] = [
    ['postgres://relay:s%3Acret@db:5432/relay', 'postgres://relay@db:5432/relay', 's:cret'],
    ['postgres://relay@db/relay?sslmode=require', 'postgres://relay@db/relay?sslmode=require', undefined],
    ['postgres://db/relay?user=a&password=b&sslmode=require', 'postgres://db/relay?user=a&sslmode=require', 'b'],
    ['postgres://db/relay?password=b', 'postgres://db/relay', 'b'],
    ['postgres://relay:pw@one:5432,two:5433/relay', 'postgres://relay@one:5432,two:5433/relay', 'pw']
  ]
  for (const [given, url, password] of cases) assert.deepEqual(withoutPassword(given), { url, password })
})

test('every file of a backup has one place under the settings', () => {
  const settings = { DATA_DIR: '/data', NODE_KEY_FILE: '/run/secrets/key', L2PS_DIR: undefined } as never
  assert.equal(placeOf('node.key', settings), '/run/secrets/key')
  assert.equal(placeOf('admin.token', settings), '/data/admin.token')
  assert.equal(placeOf('audit/x.checkpoint', settings), '/data/audit/x.checkpoint')
  assert.equal(placeOf('l2ps/team/config.json', settings), '/data/l2ps/team/config.json')
  for (const path of ['database.dump', 'postgres/PG_VERSION', 'postgres-password'])
    assert.equal(placeOf(path, settings), undefined)
})
