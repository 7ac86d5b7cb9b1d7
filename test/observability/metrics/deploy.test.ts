// What Prometheus and Grafana are given says nothing that the server does not show.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { packageFile } from '../../../src/util/package-root.ts'
import { DECLARED } from './exposition.ts'
import { alerts, dashboardPanels, dashboardQueries, deployed, labelsIn, selectorsIn } from './promql.ts'

/** What Prometheus adds itself. */
const ADDED = ['instance', 'job']

/** Every name and label value of a query is declared, and so is every label it groups by or shows. */
function assertDeclared(expr: string, shown: string): void {
  const labels = new Set(ADDED)
  const selectors = selectorsIn(expr)
  assert.ok(selectors.length > 0, expr)
  for (const { name, matchers } of selectors) {
    const lists = name === 'up' ? {} : DECLARED.get(name)?.labels
    assert.ok(lists, `${name} is not shown by the server: ${expr}`)
    for (const label of [...Object.keys(lists), ...(name.endsWith('_bucket') ? ['le'] : [])]) labels.add(label)
    for (const { label, operator, value } of matchers) {
      if (ADDED.includes(label)) continue
      const values = operator.endsWith('~') ? value.split('|') : [value]
      for (const each of values) assert.ok(lists[label]?.includes(each), `${name} has no ${label}="${each}"`)
    }
  }
  for (const label of [...labelsIn(expr), ...labelsIn(shown)])
    assert.ok(labels.has(label), `no label ${label} in ${expr}`)
}

test('the check of names finds what is wrong', () => {
  assertDeclared('sum by (protocol) (rate(demos_relay_frames_received_total{type="message"}[5m]))', '{{protocol}}')
  for (const [expr, shown] of [
    ['demos_relay_frames_total', ''],
    ['demos_relay_message_accept_seconds', ''],
    ['demos_relay_frames_received_total{type="mesage"}', ''],
    ['demos_relay_frames_received_total{kind="message"}', ''],
    ['sum by (peer) (demos_relay_sessions)', ''],
    ['demos_relay_sessions', '{{reason}}'],
    ['demos_relay_sessions', '{{ $labels.reason }}']
  ] as const) {
    assert.throws(() => assertDeclared(expr, shown), assert.AssertionError, `${expr} ${shown}`)
  }
})

test('every query of the dashboard asks for metrics, labels and values that are shown', () => {
  for (const { expr, legendFormat } of dashboardQueries()) assertDeclared(expr, legendFormat)
})

test('every alert asks for metrics, labels and values that are shown, and its words too', () => {
  for (const { expr, annotations } of [...alerts(), ...alerts('cluster-alerts.yml')]) {
    assertDeclared(expr, annotations.summary)
  }
})

/** Not drawn: a label is all it has, an alert says it in time, or another metric says it better over time. */
const UNDRAWN = [
  'demos_relay_build_info',
  'demos_relay_event_loop_lag_p50_seconds',
  'demos_relay_queue_figures_age_seconds',
  'demos_relay_window_messages',
  'demos_relay_proofs_under_way',
  'demos_relay_audit_records_total'
]

test('what the relay shows is on the dashboard, but for what is better seen elsewhere', () => {
  const asked = new Set(
    dashboardQueries().flatMap(({ expr }) => selectorsIn(expr).map(({ name }) => DECLARED.get(name)))
  )
  const missing = [...new Set(DECLARED.values())].filter((spec) => !asked.has(spec)).map(({ name }) => name)
  assert.deepEqual(
    missing.filter((name) => name.startsWith('demos_relay_')),
    UNDRAWN
  )
})

test('of several relays nothing is counted twice: what waits is theirs together, what each relay has is summed', () => {
  for (const { title, expr } of dashboardQueries()) {
    const waiting = /max by \(protocol\) \(demos_relay_queue_\w+\{[^}]*\}\)/g
    assert.doesNotMatch(expr.replaceAll(waiting, ''), /demos_relay_queue_/, title)
    const each = /(?:max|avg|quantile)\S* ?(?:by \([^)]*\) )?\((?:rate\()?demos_relay_(?:sessions|sockets|messages)/
    assert.doesNotMatch(expr, each, title)
  }
})

test('the panels of the dashboard lie side by side', () => {
  const taken = new Set<string>()
  for (const { title, gridPos } of dashboardPanels()) {
    assert.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), title)
        taken.add(`${x} ${y}`)
      }
    }
  }
})

test('every alert has its section in the runbook, and every section an alert', () => {
  const runbook = readFileSync(packageFile('docs/runbook.md'), 'utf8')
  const sections = [...runbook.matchAll(/^## (?!Everyday questions$)(.+)$/gm)].map(([, title]) => title)
  const all = [...alerts(), ...alerts('cluster-alerts.yml')]
  assert.deepEqual(
    sections,
    all.map(({ alert }) => alert)
  )
  for (const { alert, labels, annotations } of all) {
    assert.equal(annotations.runbook_url, `{{ $externalLabels.runbook }}#${alert.toLowerCase()}`)
    assert.match(labels.severity, /^(critical|warning|info)$/)
  }
  const headings = [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(' ', '-'))
  for (const [, anchor] of runbook.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(headings.includes(anchor!), anchor)
})

test('Prometheus scrapes the relay of docker-compose.yml, and Grafana asks that Prometheus', () => {
  const compose = parse(readFileSync(packageFile('docker-compose.yml'), 'utf8')) as { services: Record<string, object> }
  const { scrape_configs: scrapes } = parse(deployed('prometheus/prometheus.yml'))
  const [host, port] = scrapes[0].static_configs[0].targets[0].split(':')
  assert.ok(host in compose.services, host)
  assert.equal(port, '3007', 'the listener of ADMIN_PORT')
  assert.equal(scrapes[0].job_name, 'demos-relay')
  const { datasources } = parse(deployed('grafana/provisioning/datasources/prometheus.yml'))
  assert.deepEqual([datasources[0].type, datasources[0].url], ['prometheus', 'http://prometheus:9090'])
  const { providers } = parse(deployed('grafana/provisioning/dashboards/demos-relay.yml'))
  assert.equal(providers[0].options.path, '/var/lib/grafana/dashboards')
})
