// A database from before the table of admin events keeps what was done: its records tell it.
import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { recordText } from '../../src/audit/record.ts'
import { migrate } from '../../src/database/migrate.ts'
import { listAdminEvents, trimAdminEvents } from '../../src/store/admin-event.ts'
import type { InboxEvent } from '../../src/store/audit-inbox.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { emptyTestDatabase, temporaryDirectory } from '../helpers/database.ts'

const NOTHING = { sender: null, recipient: null, digest: null, bytes: null, entries: null, messageSeq: null }
const recordOf = (event: Partial<InboxEvent> & Pick<InboxEvent, 'kind' | 'acceptedAt'>) =>
  recordText({ ...NOTHING, network: 'signaling', salt: 'ab'.repeat(16), ...event }, 1)

test('what was administered before is taken from the records, in order; messages are not', async (t) => {
  const { sql } = await emptyTestDatabase(t)
  const before = join(await temporaryDirectory(t), 'migrations')
  await mkdir(before)
  for (const name of await readdir(packageFile('migrations'))) {
    if (name < '0020') await copyFile(join(packageFile('migrations'), name), join(before, name))
  }
  await migrate(sql, before)
  const [log] = await sql<{ id: number }[]>`
    insert into audit_log (network, root) values ('signaling', decode(repeat('00', 32), 'hex')) returning id`
  const records = [
    recordOf({ kind: 'purge', acceptedAt: 30, recipient: 'bob', sender: 'alice', entries: 2, bytes: 9 }),
    recordOf({ kind: 'message', acceptedAt: 10, sender: 'a', recipient: '"type":"purge"', digest: 'd', bytes: 1 }),
    recordOf({ kind: 'identity-release', acceptedAt: 20, sender: 'carol' }),
    recordOf({ kind: 'administration', acceptedAt: 40, digest: 'networkDelete' })
  ]
  for (const [idx, text] of records.entries()) {
    await sql`insert into audit_entry (log, idx, entry) values (${log!.id}, ${idx}, ${Buffer.from(text)})`
  }
  await migrate(sql, packageFile('migrations'))
  const none = { token: null, network: 'signaling', peer: null, sender: null, entries: null, bytes: null }
  assert.deepEqual(
    (await listAdminEvents(sql, {}, undefined, 10)).map(({ id: _, ...event }) => event),
    [
      { ...none, at: 40, action: 'networkDelete' },
      { ...none, at: 30, action: 'purge', peer: 'bob', sender: 'alice', entries: 2, bytes: 9 },
      { ...none, at: 20, action: 'identityRelease', peer: 'carol' }
    ]
  )
  await trimAdminEvents(sql, 2)
  assert.deepEqual(
    (await listAdminEvents(sql, {}, undefined, 10)).map(({ at }) => at),
    [40, 30]
  )
})
