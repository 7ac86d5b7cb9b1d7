// What GET /metrics says, and which names and labels it may use.
import { METRICS } from '../../../src/observability/metrics/catalogue.ts'
import type { MetricSpec } from '../../../src/observability/metrics/metric.ts'
import type { TestServer } from '../../helpers/server.ts'

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export async function scrape(server: Pick<TestServer, 'addresses'>): Promise<{ text: string; samples: Sample[] }> {
  const answer = await fetch(`${server.addresses.http}/metrics`)
  if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}`)
  const text = await answer.text()
  return { text, samples: parse(text) }
}

/** The sum of the samples with this name and these labels. */
export function total(samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  const ours = samples.filter(
    (sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  )
  if (ours.length === 0) throw new Error(`no sample of ${name} ${JSON.stringify(labels)}`)
  return ours.reduce((sum, { value }) => sum + value, 0)
}

/** Every declared metric by the names its samples have. */
export const DECLARED: ReadonlyMap<string, MetricSpec> = new Map(
  Object.values<MetricSpec>(METRICS).flatMap((spec) => {
    const endings = spec.kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    return endings.map((ending): [string, MetricSpec] => [`${spec.name}${ending}`, spec])
  })
)

function parse(text: string): Sample[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) throw new Error(`not a sample: ${line}`)
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, is]) => [label, is])
    return { name, labels: Object.fromEntries(pairs), value: Number(value) }
  })
}
