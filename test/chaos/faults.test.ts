// The delivery promise while one thing after the other breaks: nothing acknowledged is lost, doubled or overtaken.
import { test } from 'node:test'
import type { NemesisName } from './nemeses.ts'
import { openStage } from './stage.ts'
import { survives } from './survives.ts'

const FAULTS = [
  'server-kill',
  'postgres-kill',
  'postgres-freeze',
  'cut-without-fin',
  'half-open-client',
  'reset-mid-frame',
  'trickle',
  'reconnect-loop'
] as const satisfies readonly NemesisName[]

test('nothing acknowledged is lost, doubled or overtaken', async (t) => {
  const stage = await openStage(t)
  await t.test('while nothing breaks', (t) => survives(t, stage, []))
  for (const fault of FAULTS) await t.test(`by ${fault}`, (t) => survives(t, stage, [fault]))
})
