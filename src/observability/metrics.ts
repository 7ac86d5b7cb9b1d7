import { type Metric, Registry } from 'prom-client'
import { METRICS } from './metrics/catalogue.ts'
import { Family, type MetricSpec } from './metrics/family.ts'

type FamilyOf<S> = S extends MetricSpec<infer L, infer K> ? Family<L, K> : never
type Families = { readonly [M in keyof typeof METRICS]: FamilyOf<(typeof METRICS)[M]> }

/** The numbers this server counts, by their names in the catalogue. */
export interface RelayMetrics extends Families {
  readonly contentType: string
  /** Adds a step that sets numbers just before they are read: from memory, never by a query. */
  onRead(step: () => void): void
  /** Brings up to date what is set before reading. */
  refresh(): void
  /** Everything in the text format of Prometheus. */
  text(): Promise<string>
}

/** A registry of its own, so that two servers can live in one process. */
export function createMetrics(): RelayMetrics {
  const registry = new Registry()
  const families = Object.entries(METRICS).map(([key, spec]) => [key, new Family(spec as MetricSpec)] as const)
  for (const [, family] of families) registry.registerMetric(printable(family))
  const steps: (() => void)[] = []
  const refresh = () => {
    for (const step of steps) step()
  }
  return {
    ...(Object.fromEntries(families) as unknown as Families),
    contentType: registry.contentType,
    onRead: (step) => void steps.push(step),
    refresh,
    text: () => {
      refresh()
      return registry.metrics()
    }
  }
}

/** The registry asks a metric for its name, and for its values when it prints. */
const printable = (family: Family): Metric => Object.assign(family, { name: family.spec.name }) as unknown as Metric
