import * as prom from 'prom-client'

/** Label names, each with every value it can have. Nothing a peer sends ever becomes a label value. */
export type LabelLists = Readonly<Record<string, readonly string[]>>
export type LabelsOf<L extends LabelLists> = { readonly [K in keyof L]: L[K][number] }
export type MetricKind = 'counter' | 'gauge' | 'histogram'

/** One metric, declared once: registration, documentation and tests derive from it. */
export interface MetricSpec<L extends LabelLists = LabelLists, K extends MetricKind = MetricKind> {
  readonly kind: K
  readonly name: string
  readonly help: string
  readonly labels: L
  /** Upper bounds of a histogram, ascending. */
  readonly buckets?: readonly number[]
}

/** One series of a counter. `value` may be set where the total is kept elsewhere. */
export interface Counter {
  value: number
  inc(by?: number): void
}

/** One series of a gauge. Undefined: the value is not known, and the series is not shown. */
export interface Gauge {
  value: number | undefined
}

/** One series of a histogram. */
export interface Histogram {
  observe(value: number): void
}

interface SeriesOf {
  counter: Counter
  gauge: Gauge
  histogram: Histogram
}

/** The number of one counter or gauge series, which prom-client is told when somebody reads the metrics. */
class Sample implements Gauge {
  readonly labels: Readonly<Record<string, string>>
  value: number | undefined

  constructor(labels: Readonly<Record<string, string>>, value: number | undefined) {
    this.labels = labels
    this.value = value
  }

  inc(by = 1): void {
    this.value = (this.value ?? 0) + by
  }
}

/**
 * A metric of prom-client whose labels have declared values only. Callers hold on to a series. Counters and gauges are
 * plain numbers until they are read: an addition costs 7 ns, where `inc` of prom-client looks the labels up (230 ns).
 * Histograms are prom-client's (470 ns an observation; a message has two or three, of its 80 µs).
 */
export class Metric<L extends LabelLists = LabelLists, K extends MetricKind = MetricKind> {
  readonly spec: MetricSpec<L, K>
  readonly #series = new Map<string, SeriesOf[K]>()
  readonly #open: (labels: Readonly<Record<string, string>>) => SeriesOf[MetricKind]

  constructor(spec: MetricSpec<L, K>, registry: prom.Registry) {
    this.spec = spec
    this.#open = register(spec, registry)
    if (Object.keys(spec.labels).length === 0) this.#at({})
  }

  /** The series with these labels, shown from now on. Throws for a value that is not declared. */
  at(...[labels]: keyof L extends never ? [] : [LabelsOf<L>]): SeriesOf[K] {
    return this.#at(labels ?? {})
  }

  /** A series for every value of one label, the others fixed. */
  by<N extends keyof L & string>(name: N, others: Omit<LabelsOf<L>, N>): Record<L[N][number], SeriesOf[K]> {
    const series = this.spec.labels[name]!.map((value) => [value, this.#at({ ...others, [name]: value })])
    return Object.fromEntries(series)
  }

  /** The sum of the series that have these labels, of counters and gauges. */
  total(labels: Partial<LabelsOf<L>> = {}): number {
    const wanted = Object.entries(labels)
    const samples = [...this.#series.values()].filter((series) => series instanceof Sample)
    const ours = samples.filter((sample) => wanted.every(([name, is]) => sample.labels[name] === is))
    return ours.reduce((sum, { value = 0 }) => sum + value, 0)
  }

  #at(labels: Readonly<Record<string, string>>): SeriesOf[K] {
    const { name, labels: lists } = this.spec
    for (const [label, values] of Object.entries(lists)) {
      if (!values.includes(labels[label] ?? '')) throw new Error(`${name} has no ${label}="${labels[label]}"`)
    }
    const key = Object.keys(lists)
      .map((label) => labels[label])
      .join('\n')
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const series = this.#open({ ...labels }) as SeriesOf[K]
    this.#series.set(key, series)
    return series
  }
}

/** Makes the metric of prom-client; returns what opens a series of it. */
function register({ kind, name, help, labels: lists, buckets = [] }: MetricSpec, registry: prom.Registry) {
  const options = { name, help, labelNames: Object.keys(lists), registers: [registry] }
  if (kind === 'histogram') {
    const histogram = new prom.Histogram({ ...options, buckets: [...buckets] })
    return (labels: Readonly<Record<string, string>>): Histogram => {
      histogram.zero(labels) // shown before the first observation
      return histogram.labels(labels)
    }
  }
  const samples: Sample[] = []
  const collect = (metric: prom.Counter | prom.Gauge) => {
    metric.reset()
    for (const { labels, value } of samples) {
      if (value === undefined) metric.remove(labels)
      else metric.inc(labels, value)
    }
  }
  if (kind === 'counter')
    new prom.Counter({
      ...options,
      collect() {
        collect(this)
      }
    })
  else
    new prom.Gauge({
      ...options,
      collect() {
        collect(this)
      }
    })
  return (labels: Readonly<Record<string, string>>): Gauge => {
    const sample = new Sample(labels, kind === 'counter' ? 0 : undefined)
    samples.push(sample)
    return sample
  }
}
