export const SCENARIO_NAMES = ['relay', 'paced', 'offline', 'storm', 'idle', 'population', 'history'] as const
export type ScenarioName = (typeof SCENARIO_NAMES)[number]
