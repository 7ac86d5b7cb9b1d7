// Prometheus' own programs judge what we show and what we ask: promtool, and a real Prometheus that scrapes a real server.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { freePort } from '../../../src/database/embedded/embedded-postgres.ts'
import { packageFile } from '../../../src/util/package-root.ts'
import { startCluster } from '../../cluster/relays.ts'
import { atEnd } from '../../helpers/at-end.ts'
import { temporaryDirectory } from '../../helpers/database.ts'
import { findProgram, needs } from '../../helpers/programs.ts'
import { startTestServer, type TestServer } from '../../helpers/server.ts'
import { until } from '../../helpers/wait.ts'
import { ALERT_CASES, type AlertCase } from './alert-cases.ts'
import { scrape } from './exposition.ts'
import { alerts, dashboardQueries, deployed } from './promql.ts'
import { promtool, ruleTests, testRules } from './promtool.ts'

const RULES = packageFile('deploy/prometheus/alerts.yml')

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

test('every alert fires when it should, and does not when it should not', needs('promtool'), async (t) => {
  assert.deepEqual(
    Object.keys(ALERT_CASES).sort(),
    alerts()
      .map(({ alert }) => alert)
      .sort()
  )
  assert.match(await testRules(t, RULES, ruleTests(alerts(), ALERT_CASES)), /SUCCESS/)
  const { fires } = ALERT_CASES.RelayNotReady!
  const [series, labels] = fires[0]!
  const onlyReady = (fault: AlertCase) => ruleTests(alerts(), { RelayNotReady: fault })
  await assert.rejects(testRules(t, RULES, onlyReady({ fires: [], quiet: [series] })), /FAILED/)
  await assert.rejects(testRules(t, RULES, onlyReady({ fires: [[{}, labels]], quiet: [] })), /FAILED/)
})

interface Prometheus {
  /** What a query finds now. */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>
  get(path: string): Promise<unknown>
}

/** Debian's Prometheus with our configuration, but for the addresses of the relays and a quicker pace. */
async function startPrometheus(t: TestContext, relays: readonly string[]): Promise<Prometheus> {
  const directory = await temporaryDirectory(t)
  const config = parse(deployed('prometheus/prometheus.yml'))
  config.global = { scrape_interval: '500ms', evaluation_interval: '500ms' }
  config.scrape_configs[0].static_configs[0].targets = relays.map((relay) => new URL(relay).host)
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
  'a real Prometheus scrapes the relays of a cluster, answers every query of the dashboard, and evaluates every alert',
  needs('prometheus'),
  async (t) => {
    const [server, other] = (await startCluster(t, 2)).relays as [TestServer, TestServer]
    const [alice, bob] = [await server.join('alice'), await other.join('bob')]
    for (let n = 1; n <= 3; n++) alice.send({ type: 'message', payload: { targetId: 'bob', message: n } })
    for (let n = 1; n <= 3; n++) await bob.next('message')
    const prometheus = await startPrometheus(t, [server.addresses.http, other.addresses.http])

    const received = 'demos_relay_frames_received_total{protocol="signaling", type="message"}'
    const finds = (query: string) =>
      until(`Prometheus finds ${query}`, async () => {
        const found = await prometheus.query(query)
        return found.length > 0 && found
      })
    const [sample] = await finds(`${received} > 0`)
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
