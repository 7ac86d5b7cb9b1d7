// The delivery promise while everything breaks that can, at random. Longer: npm run chaos.
import { test } from 'node:test'
import { verifyLogsFromOutside, watchLogs } from './log-watch.ts'
import { MIXED } from './nemeses.ts'
import { openStage } from './stage.ts'
import { survives } from './survives.ts'

test('nothing acknowledged is lost, doubled or overtaken, whatever breaks, and the log stays one log', async (t) => {
  const stage = await openStage(t, { steppedClock: true })
  const watch = watchLogs(stage)
  await survives(t, stage, MIXED, 20_000)
  await verifyLogsFromOutside(t, stage, await watch.stop())
})
