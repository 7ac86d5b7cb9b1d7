// What a run found, for other programs.
import type { Result, Verdict } from './run.ts'

export type Counts = Readonly<Record<Verdict, number>>

export function countsOf(results: readonly Result[]): Counts {
  const counts = { holds: 0, fails: 0, 'not supported': 0 }
  for (const { verdict } of results) counts[verdict] += 1
  return counts
}

/** JUnit's XML, as test reporters read it: a suite for each protocol, "not supported" as skipped. */
export function junit(results: readonly Result[]): string {
  const suites = (['signaling', 'l2ps'] as const)
    .map((protocol) => suite(protocol, results))
    .filter((xml) => xml !== '')
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="demos-relay conformance">\n${suites.join('')}</testsuites>\n`
}

function suite(protocol: Result['protocol'], all: readonly Result[]): string {
  const results = all.filter((result) => result.protocol === protocol)
  if (results.length === 0) return ''
  const { fails, 'not supported': skipped } = countsOf(results)
  const seconds = results.reduce((sum, result) => sum + result.seconds, 0).toFixed(3)
  const head = `name="${protocol}" tests="${results.length}" failures="${fails}" errors="0" skipped="${skipped}" time="${seconds}"`
  return `  <testsuite ${head}>\n${results.map(testcase).join('')}  </testsuite>\n`
}

function testcase({ protocol, section, title, verdict, reason = '', frames = [], seconds }: Result): string {
  const head = `classname="${protocol}" name="${escaped(`${section} ${title}`)}" time="${seconds}"`
  if (verdict === 'holds') return `    <testcase ${head}/>\n`
  const said = frames.map(({ peer, direction, text }) => `${peer} ${direction}: ${text}`).join('\n')
  const inside =
    verdict === 'fails'
      ? `<failure message="${escaped(reason)}">${escaped(said)}</failure>`
      : `<skipped message="${escaped(reason)}"/>`
  return `    <testcase ${head}>${inside}</testcase>\n`
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** Characters that XML 1.0 cannot hold are replaced. */
const escaped = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
    .replaceAll(/[&<>"]/g, (character) => ENTITIES[character]!)
