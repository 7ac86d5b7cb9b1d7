// Events that an older server left in the inbox become the records they would have been.
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { migrate } from '../../src/database/migrate.ts'
import { takeAuditEvents } from '../../src/store/audit-inbox.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { emptyTestDatabase, temporaryDirectory } from '../helpers/database.ts'

test('what waits while the inbox changes its form is not lost', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const older = join(await temporaryDirectory(t), 'migrations')
  await mkdir(older)
  for (const name of await readdir(packageFile('migrations'))) {
    if (name < '0014') await copyFile(join(packageFile('migrations'), name), join(older, name))
  }
  await migrate(sql, older)
  const salts = Buffer.alloc(32, 7)
  const passing = [
    ['message', 1, 'alice', 'bob', 'aa', 10, null, null],
    ['purge', 2, null, 'bob', null, 20, 3, null]
  ]
  const kept = [
    ['message', 3, 'carol', 'dave', 'bb', 30, null, 41],
    ['message', 4, 'dave', 'carol', 'cc', 40, null, 42]
  ]
  await sql`insert into audit_inbox (network, count, events, salts) values
    ('signaling', 2, ${JSON.stringify(passing)}, ${salts}), ('net', 2, ${JSON.stringify(kept)}, ${salts})`
  for (const [, acceptedAt, sender, recipient, digest, bytes, , seq] of kept) {
    await sql`insert into message (seq, id, conversation, network, sender, recipient, message_hash, sealed, size_bytes, sent_at)
      values (${seq!}, gen_random_uuid(), gen_random_uuid(), 'net', ${sender!}, ${recipient!}, ${digest!}, '"x"', ${bytes!}, ${acceptedAt!})`
  }
  await migrate(sql, packageFile('migrations'))

  const taken = await sql.begin((tx) => takeAuditEvents(tx, 100, []))
  const shapes = taken.map(({ salt, network: _network, ...event }) => {
    assert.match(salt, /^[0-9a-f]{32}$/)
    return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null))
  })
  const message = (acceptedAt: number, sender: string, recipient: string, digest: string, bytes: number) => ({
    ...{ kind: 'message', acceptedAt, sender, recipient, digest, bytes }
  })
  assert.deepEqual(shapes, [
    message(1, 'alice', 'bob', 'aa', 10),
    { kind: 'purge', acceptedAt: 2, recipient: 'bob', bytes: 20, entries: 3 },
    { ...message(3, 'carol', 'dave', 'bb', 30), messageSeq: 41 },
    { ...message(4, 'dave', 'carol', 'cc', 40), messageSeq: 42 }
  ])
})
