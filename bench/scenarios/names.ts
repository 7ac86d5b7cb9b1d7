export const SCENARIO_NAMES = [
  'relay',
  'paced',
  'stalled',
  'offline',
  'storm',
  'idle',
  'memory',
  'crowd',
  'population',
  'history',
  'audit',
  'cluster'
] as const
export type ScenarioName = (typeof SCENARIO_NAMES)[number]
