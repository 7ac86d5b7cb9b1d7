import { test } from 'node:test'
import { startDebianPostgres } from '../helpers/debian-postgres.ts'
import { needs } from '../helpers/programs.ts'
import { restoreAndUse, restoreOver, saveStopped, saveUnderLoad } from './drill-steps.ts'

test(
  'a server on a PostgreSQL of its own comes back from a dump made under load, and goes on',
  needs('pg_dump', 'pg_restore'),
  async (t) => {
    const debian = await startDebianPostgres(t)
    const saved = await saveUnderLoad(t, await debian.createDatabase('first'))
    const used = await restoreAndUse(t, saved, await debian.createDatabase('second'))
    await restoreOver(t, saved, used)
  }
)

test('a server with the embedded database is saved and restored while it does not run', async (t) => {
  const used = await restoreAndUse(t, await saveUnderLoad(t))
  await saveStopped(t, used)
})
