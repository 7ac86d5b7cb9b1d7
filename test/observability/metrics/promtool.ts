// promtool, and the tests of alerts that it evaluates.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { stringify } from 'yaml'
import { temporaryDirectory } from '../../helpers/database.ts'
import { findProgram } from '../../helpers/programs.ts'
import type { AlertCase, Series } from './alert-cases.ts'
import type { Alert } from './promql.ts'

/** Runs promtool; rejects with everything it said when it is not content. */
export function promtool(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(findProgram('promtool') ?? 'promtool', args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr)
      else reject(new Error(`promtool ${args.join(' ')}: ${stdout}${stderr}`))
    })
    child.stdin!.end(input)
  })
}

/** What promtool is to evaluate: after 30 minutes each case fires its alert with its labels, or does not. */
export function ruleTests(alerts: readonly Alert[], cases: Readonly<Record<string, AlertCase>>): object[] {
  return Object.entries(cases).flatMap(([name, { around = {}, fires, quiet }]) => {
    const alert = alerts.find((each) => each.alert === name)!
    return [
      ...fires.map(([series, labels]) => ruleTest(alert, { ...around, ...series }, labels)),
      ...quiet.map((series) => ruleTest(alert, { ...around, ...series }))
    ]
  })
}

function ruleTest({ alert, labels: { severity } }: Alert, series: Series, labels?: Series): object {
  const all = Object.entries({ alertname: alert, alertstate: 'firing', severity, ...labels })
  const text = `ALERTS{${all.map(([label, value]) => `${label}="${value}"`).join(', ')}}`
  return {
    name: `${alert} ${labels === undefined ? 'is quiet' : 'fires'}: ${JSON.stringify(series)}`,
    interval: '15s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `ALERTS{alertname="${alert}", alertstate="firing"}`,
        eval_time: '30m',
        exp_samples: labels === undefined ? [] : [{ labels: text, value: 1 }]
      }
    ]
  }
}

/** Has promtool evaluate tests of these rules. */
export async function testRules(t: TestContext, rules: string, tests: readonly object[]): Promise<string> {
  const file = join(await temporaryDirectory(t), 'tests.yml')
  await writeFile(file, stringify({ rule_files: [rules], evaluation_interval: '1m', tests }))
  return promtool(['test', 'rules', file])
}
