// The delivery promise while one thing after the other breaks: nothing acknowledged is lost, doubled or overtaken. Those
// that take long to be noticed, and all at once, are in survival.long.test.ts.
import { test } from 'node:test'
import { missingForDisk, openStage } from './stage.ts'
import { survives } from './survives.ts'

test('nothing acknowledged is lost, doubled or overtaken', async (t) => {
  const stage = await openStage(t, { steppedClock: true })
  await t.test('while nothing breaks', (t) => survives(t, stage, []))
  for (const fault of ['server-kill', 'postgres-kill', 'reset-mid-frame', 'reconnect-loop', 'clock-back'] as const)
    await t.test(`by ${fault}`, (t) => survives(t, stage, [fault]))
})

test('the disk is full', async (t) => {
  const missing = await missingForDisk(t)
  if (missing !== undefined && process.env.CI !== 'true') return t.skip(missing)
  const stage = await openStage(t, { diskMegabytes: 192 })
  await survives(t, stage, ['disk-full'])
})
