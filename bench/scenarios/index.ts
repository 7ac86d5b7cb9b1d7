import type { ScenarioName } from './names.ts'
import { relay } from './relay.ts'
import type { Scenario } from './scenario.ts'

export const SCENARIOS: Readonly<Partial<Record<ScenarioName, Scenario>>> = { relay }
