// The delivery promise where a fault needs a place of its own: an embedded database, a small disk, a clock to step.
import { test } from 'node:test'
import { missingForDisk, openStage } from './stage.ts'
import { survives } from './survives.ts'

test('the embedded database is killed and stands still, and its server is killed', async (t) => {
  const stage = await openStage(t, { database: 'embedded' })
  await survives(t, stage, ['postgres-kill', 'server-kill', 'postgres-freeze'], 12_000)
})

test('the disk is full', async (t) => {
  const missing = await missingForDisk(t)
  if (missing !== undefined && process.env.CI !== 'true') return t.skip(missing)
  const stage = await openStage(t, { diskMegabytes: 192 })
  await survives(t, stage, ['disk-full'], 4_000)
})

test('the clock is stepped back', async (t) => {
  const stage = await openStage(t, { steppedClock: true })
  await survives(t, stage, ['clock-back'], 4_000)
})
