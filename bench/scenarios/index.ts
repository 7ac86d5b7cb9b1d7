import { audit } from './audit.ts'
import { cluster } from './cluster.ts'
import { crowd } from './crowd.ts'
import { history } from './history.ts'
import { idle } from './idle.ts'
import { memory } from './memory.ts'
import type { ScenarioName } from './names.ts'
import { offline } from './offline.ts'
import { paced } from './paced.ts'
import { population } from './population.ts'
import { relay } from './relay.ts'
import type { Scenario } from './scenario.ts'
import { stalled } from './stalled.ts'
import { storm } from './storm.ts'

export const SCENARIOS: Readonly<Record<ScenarioName, Scenario>> = {
  ...{ relay, paced, stalled, offline },
  ...{ storm, idle, memory, crowd, population, history, audit, cluster }
}
