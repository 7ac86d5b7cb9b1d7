import { Registry } from 'prom-client'
import { PROTOCOLS } from '../protocol/frames.ts'
import { METRICS, type ProtocolName, UNKNOWN_TYPE } from './metrics/catalogue.ts'
import { type Counter, Metric, type MetricSpec } from './metrics/metric.ts'

type MetricOf<S> = S extends MetricSpec<infer L, infer K> ? Metric<L, K> : never
type Metrics = { readonly [M in keyof typeof METRICS]: MetricOf<(typeof METRICS)[M]> }

/** The metrics of this server, by their names in the catalogue. */
export interface RelayMetrics extends Metrics {
  readonly contentType: string
  /** Adds a step that sets values just before they are read: from memory, never by a query. */
  onRead(step: () => void): void
  /** Runs every step, so that values are as they are now. */
  refresh(): void
  /** The cumulative buckets of a histogram, its series together: upper bounds, ascending, and counts. */
  buckets(name: string): Promise<(readonly [bound: number, count: number])[]>
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
    buckets: async (name) => {
      const { values } = await registry.getSingleMetric(name)!.get()
      const counts = new Map<number, number>()
      for (const { labels, value } of values) {
        const { le } = labels as { le?: string | number }
        if (le === undefined) continue
        const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le)
        counts.set(bound, (counts.get(bound) ?? 0) + value)
      }
      return [...counts].sort(([a], [b]) => a - b)
    },
    text: () => {
      refresh()
      return registry.metrics()
    }
  }
}

/** Counts a received frame by its type. A type that is missing or not one of the protocol's counts as unknown. */
export type CountFrame = (type: unknown) => void

export function frameCounter({ framesReceived }: RelayMetrics, protocol: ProtocolName): CountFrame {
  const frames = PROTOCOLS.find(({ name }) => name === protocol)!.clientFrames
  const counters = new Map<unknown, Counter>(
    frames.map(({ frame: { type } }) => [type, framesReceived.at({ protocol, type })])
  )
  const unknown = framesReceived.at({ protocol, type: UNKNOWN_TYPE })
  return (type) => (counters.get(type) ?? unknown).inc()
}
