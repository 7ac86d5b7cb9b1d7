// The delivery promise while what takes long to be noticed breaks, and while everything breaks that can, at random.
// Longer: npm run chaos.
import { test } from 'node:test'
import { verifyLogsFromOutside, watchLogs } from './log-watch.ts'
import { MIXED } from './nemeses.ts'
import { openStage } from './stage.ts'
import { survives } from './survives.ts'

test('nothing acknowledged is lost, doubled or overtaken, however late a fault is noticed', async (t) => {
  const stage = await openStage(t)
  for (const fault of ['postgres-freeze', 'cut-without-fin', 'half-open-client', 'trickle'] as const)
    await t.test(`by ${fault}`, (t) => survives(t, stage, [fault], 10_000))
})

test('nothing acknowledged is lost, doubled or overtaken, whatever breaks, and the log stays one log', async (t) => {
  const stage = await openStage(t, { steppedClock: true })
  const watch = watchLogs(stage)
  for (let run = 0; run < 3; run++) await survives(t, stage, MIXED, 20_000)
  await verifyLogsFromOutside(t, stage, await watch.stop())
})

test('the embedded database is killed and stands still, and its server is killed', async (t) => {
  const stage = await openStage(t, { database: 'embedded' })
  await survives(t, stage, ['postgres-kill', 'server-kill', 'postgres-freeze'], 12_000)
})
