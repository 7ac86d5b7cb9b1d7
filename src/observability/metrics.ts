import { Registry } from 'prom-client'
import { METRICS } from './metrics/catalogue.ts'
import { Metric, type MetricSpec } from './metrics/metric.ts'

type MetricOf<S> = S extends MetricSpec<infer L, infer K> ? Metric<L, K> : never
type Metrics = { readonly [M in keyof typeof METRICS]: MetricOf<(typeof METRICS)[M]> }

/** The metrics of this server, by their names in the catalogue. */
export interface RelayMetrics extends Metrics {
  readonly contentType: string
  /** Adds a step that sets values just before they are read: from memory, never by a query. */
  onRead(step: () => void): void
  /** Runs every step, so that values are as they are now. */
  refresh(): void
  /** Everything in the text format of Prometheus. */
  text(): Promise<string>
}

/** Each server has a registry of its own, so that two servers can live in one process. */
export function createMetrics(): RelayMetrics {
  const registry = new Registry()
  const metrics = Object.entries(METRICS).map(([key, spec]) => [key, new Metric(spec as MetricSpec, registry)])
  const steps: (() => void)[] = []
  const refresh = () => {
    for (const step of steps) step()
  }
  return {
    ...(Object.fromEntries(metrics) as Metrics),
    contentType: registry.contentType,
    onRead: (step) => void steps.push(step),
    refresh,
    text: () => {
      refresh()
      return registry.metrics()
    }
  }
}
