// A restore drill: a backup that was never restored is a hope. drill.long.test.ts has the others.
import { test } from 'node:test'
import { restoreAndUse, saveUnderLoad } from './drill-steps.ts'

test('a server with the embedded database comes back from a backup made under load, and goes on', async (t) => {
  await restoreAndUse(t, await saveUnderLoad(t))
})
