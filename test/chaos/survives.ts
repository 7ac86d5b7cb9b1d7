import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { NemesisName } from './nemeses.ts'
import type { RelayNemesisName } from './relay-nemeses.ts'
import { closingLine, complaint } from './report.ts'
import { type ChaosResult, runChaos } from './run.ts'
import type { Stage } from './stage.ts'

/** Runs so far: each is a step from the seed, so that no two have the same peers and hashes. */
let runs = 0
/** Where all choices come from; `CHAOS_SEED` makes those of an earlier run again. */
const SEED = seedFrom(process.env.CHAOS_SEED ?? String(Math.floor(Math.random() * 2 ** 31)))

function seedFrom(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new Error(`CHAOS_SEED must be a number, not "${text}"`)
  return Number(text)
}

/** Runs peers through these faults, prints one line, and fails when anything is wrong. */
export async function survives(
  t: TestContext,
  stage: Stage,
  nemeses: readonly (NemesisName | RelayNemesisName)[],
  activeMs = 2_000
): Promise<void> {
  await flawlessRun(t, stage, nemeses, activeMs)
}

/** The same, with what came of it. */
export async function flawlessRun(
  t: TestContext,
  stage: Stage,
  nemeses: readonly (NemesisName | RelayNemesisName)[],
  activeMs = 2_000
): Promise<ChaosResult> {
  const result = await runChaos(stage, { seed: SEED + runs++, nemeses, activeMs })
  t.diagnostic(closingLine(result))
  assert.ok(result.ok, complaint(result))
  return result
}
