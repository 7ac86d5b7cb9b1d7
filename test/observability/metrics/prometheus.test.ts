// Prometheus' own programs judge what we show and what we ask: promtool, and a real Prometheus that scrapes a real server.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { freePort } from '../../../src/database/embedded/embedded-postgres.ts'
import { packageFile } from '../../../src/util/package-root.ts'
import { atEnd } from '../../helpers/at-end.ts'
import { temporaryDirectory } from '../../helpers/database.ts'
import { findProgram, needs } from '../../helpers/programs.ts'
import { startTestServer } from '../../helpers/server.ts'
import { until } from '../../helpers/wait.ts'
import { ALERT_CASES, type Series } from './alert-cases.ts'
import { scrape } from './exposition.ts'
import { alerts, dashboardQueries, deployed } from './promql.ts'

const RULES = packageFile('deploy/prometheus/alerts.yml')

/** Runs promtool; rejects with everything it said when it is not content. */
function promtool(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(findProgram('promtool') ?? 'promtool', args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr)
      else reject(new Error(`promtool ${args.join(' ')}: ${stdout}${stderr}`))
    })
    child.stdin!.end(input)
  })
}

test('promtool finds nothing wrong with what the server shows', needs('promtool'), async (t) => {
  const server = await startTestServer(t)
  await server.join('alice')
  const { text } = await scrape(server)
  assert.equal(await promtool(['check', 'metrics'], text), '')
  await assert.rejects(promtool(['check', 'metrics'], '# HELP x_count y\n# TYPE x_count gauge\nx_count 1\n'))
})

test('promtool takes the rules and the configuration', needs('promtool'), async () => {
  assert.match(await promtool(['check', 'rules', RULES]), new RegExp(`SUCCESS: ${alerts().length} rules found`))
  assert.match(await promtool(['check', 'config', packageFile('deploy/prometheus/prometheus.yml')]), /SUCCESS/)
})

/** What promtool is to evaluate: after 30 minutes the alert fires with these labels, or does not. */
function ruleTest(alert: string, series: Series, labels?: Readonly<Record<string, string>>): object {
  const { severity } = alerts().find((each) => each.alert === alert)!.labels
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

async function testRules(t: TestContext, tests: readonly object[]): Promise<string> {
  const file = join(await temporaryDirectory(t), 'tests.yml')
  await writeFile(file, stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }))
  return promtool(['test', 'rules', file])
}

test('every alert fires when it should, and does not when it should not', needs('promtool'), async (t) => {
  assert.deepEqual(
    Object.keys(ALERT_CASES).sort(),
    alerts()
      .map(({ alert }) => alert)
      .sort()
  )
  const tests = Object.entries(ALERT_CASES).flatMap(([alert, { around = {}, fires, quiet }]) => {
    assert.ok(fires.length > 0 && quiet.length > 0, alert)
    return [
      ...fires.map(([series, labels]) => ruleTest(alert, { ...around, ...series }, labels)),
      ...quiet.map((series) => ruleTest(alert, { ...around, ...series }))
    ]
  })
  assert.match(await testRules(t, tests), /SUCCESS/)
  const [series, labels] = ALERT_CASES.RelayNotReady!.fires[0]!
  await assert.rejects(testRules(t, [ruleTest('RelayNotReady', series)]), /FAILED/)
  await assert.rejects(testRules(t, [ruleTest('RelayNotReady', {}, labels)]), /FAILED/)
})

interface Prometheus {
  /** What a query finds now. */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>
  get(path: string): Promise<unknown>
}

/** Debian's Prometheus with our configuration, but for the address of the relay and a quicker pace. */
async function startPrometheus(t: TestContext, relay: string): Promise<Prometheus> {
  const directory = await temporaryDirectory(t)
  const config = parse(deployed('prometheus/prometheus.yml'))
  config.global = { scrape_interval: '500ms', evaluation_interval: '500ms' }
  config.scrape_configs[0].static_configs[0].targets = [new URL(relay).host]
  await writeFile(join(directory, 'prometheus.yml'), stringify(config))
  await writeFile(join(directory, 'alerts.yml'), deployed('prometheus/alerts.yml'))
  const address = `127.0.0.1:${await freePort()}`
  const child = spawn(findProgram('prometheus') ?? 'prometheus', [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=${address}`
  ])
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  const gone = once(child, 'exit')
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await gone
  })
  const get = async (path: string) => {
    const answer = await fetch(`http://${address}/api/v1/${path}`)
    const { status, data, error } = (await answer.json()) as { status: string; data: unknown; error?: string }
    if (status !== 'success') throw new Error(`${path}: ${error}`)
    return data
  }
  const query: Prometheus['query'] = async (expr) =>
    ((await get(`query?query=${encodeURIComponent(expr)}`)) as { result: Awaited<ReturnType<Prometheus['query']>> })
      .result
  await until('Prometheus is ready', () => {
    if (child.exitCode !== null) throw new Error(said)
    return said.includes('Server is ready to receive web requests')
  })
  return { query, get }
}

test(
  'a real Prometheus scrapes the server, answers every query of the dashboard, and evaluates every alert',
  needs('prometheus'),
  async (t) => {
    const server = await startTestServer(t)
    const [alice, bob] = [await server.join('alice'), await server.join('bob')]
    for (let n = 1; n <= 3; n++) alice.send({ type: 'message', payload: { targetId: 'bob', message: n } })
    for (let n = 1; n <= 3; n++) await bob.next('message')
    const prometheus = await startPrometheus(t, server.addresses.http)

    const received = 'demos_relay_frames_received_total{protocol="signaling", type="message"}'
    const finds = (query: string) =>
      until(`Prometheus finds ${query}`, async () => {
        const found = await prometheus.query(query)
        return found.length > 0 && found
      })
    const [sample] = await finds(received)
    assert.equal(sample!.value[1], '3')
    assert.equal(sample!.metric.instance, new URL(server.addresses.http).host)

    for (const { title, expr } of dashboardQueries()) {
      if (title === 'Certificate') continue // this server has none
      const here = expr.replaceAll('$__rate_interval', '30s').replaceAll('$instance', '.*')
      await finds(here).catch(() => assert.fail(`${title}: ${here} finds nothing`))
    }

    const { groups } = (await prometheus.get('rules')) as { groups: { rules: { name: string; health: string }[] }[] }
    const loaded = groups.flatMap(({ rules }) => rules.map(({ name }) => name))
    assert.deepEqual(
      loaded,
      alerts().map(({ alert }) => alert)
    )
    for (const { expr } of alerts()) await prometheus.query(expr) // throws for one that cannot be evaluated on what is there
  }
)
