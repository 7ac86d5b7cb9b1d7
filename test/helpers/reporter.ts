// The reporter of `npm test`: node's `spec`, and the slowest tests before the closing counts. Files are told as they lie
// from the root of the package.
import { relative } from 'node:path'
import { Readable } from 'node:stream'
import { spec, type TestEvent } from 'node:test/reporters'
import { packageFile } from '../../src/util/package-root.ts'

const SLOWEST = 10
const HERE = packageFile('.')

type Done = { name: string; file: string; ms: number }

export default async function* (events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield* Readable.from(withSlowest(events)).pipe(new spec())
}

async function* withSlowest(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  const done: Done[] = []
  for await (const event of events) {
    const { data } = event
    if (data && 'file' in data && data.file) data.file = sourceOf(data.file)
    if ((event.type === 'test:pass' || event.type === 'test:fail') && event.data.nesting === 0) {
      const { name, file = '', details } = event.data
      done.push({ name, file, ms: details.duration_ms })
    }
    if (event.type === 'test:diagnostic' && event.data.message.startsWith('tests ')) {
      for (const message of slowest(done)) yield { type: 'test:diagnostic', data: { ...event.data, message } }
    }
    yield event
  }
}

const sourceOf = (file: string) => relative(HERE, file)

function slowest(done: Done[]): string[] {
  const some = done.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST)
  const lines = some.map(({ ms, file, name }) => `${(ms / 1_000).toFixed(1).padStart(6)} s  ${file}: ${name}`)
  return some.length > 1 ? [`the slowest ${some.length}:`, ...lines] : []
}
