// The Grafana dashboard, from the names in the catalogue.
import { METRICS } from '../observability/metrics/catalogue.ts'

interface Query {
  readonly expr: string
  readonly legend: string
}

interface Panel {
  readonly title: string
  readonly unit: string
  readonly queries: readonly Query[]
  readonly about?: string
}

const PANELS_A_ROW = 3
const [WIDTH, HEIGHT] = [24 / PANELS_A_ROW, 8]

/** The series of the chosen servers, with further matchers. */
const of = ({ name }: { readonly name: string }, matchers = '') =>
  `${name}{instance=~"$instance"${matchers === '' ? '' : `, ${matchers}`}}`
const rate = (metric: { readonly name: string }, matchers?: string) => `rate(${of(metric, matchers)}[$__rate_interval])`
const per = (label: string, metric: { readonly name: string }, matchers?: string): Query => ({
  expr: `sum by (${label}) (${rate(metric, matchers)})`,
  legend: label
    .split(', ')
    .map((each) => `{{${each}}}`)
    .join(' ')
})
/** In the database, so every server shows the same. */
const shared = (metric: { readonly name: string }): Query => ({
  expr: `max by (protocol) (${of(metric)})`,
  legend: '{{protocol}}'
})
const sum = (metric: { readonly name: string }, legend = '{{protocol}}'): Query => ({
  expr: `sum by (protocol) (${of(metric)})`,
  legend
})
const each = (metric: { readonly name: string }, legend: string): Query => ({ expr: of(metric), legend })
const quantiles = ({ name }: { readonly name: string }, label: string): Query[] =>
  [0.5, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le, ${label}) (${rate({ name: `${name}_bucket` })}))`,
    legend: `{{${label}}} p${quantile * 100}`
  }))
const mean = ({ name }: { readonly name: string }, label: string): Query => ({
  expr: `sum by (${label}) (${rate({ name: `${name}_sum` })}) / sum by (${label}) (${rate({ name: `${name}_count` })})`,
  legend: `{{${label}}}`
})

const M = METRICS

const ROWS: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    'At a glance',
    [
      { title: 'Ready', unit: 'none', queries: [each(M.ready, '{{instance}}')] },
      { title: 'Sessions', unit: 'short', queries: [sum(M.sessions), sum(M.sockets, '{{protocol}} sockets')] },
      { title: 'Messages accepted', unit: 'mps', queries: [per('protocol, route', M.accepted)] }
    ]
  ],
  [
    'Messages',
    [
      { title: 'Delivered, by receipt', unit: 'mps', queries: [per('protocol, receipt', M.delivered)] },
      {
        title: 'Sent again',
        unit: 'percentunit',
        queries: [
          {
            expr: `sum by (protocol) (${rate(M.redelivered)}) / sum by (protocol) (${rate(M.delivered)})`,
            legend: '{{protocol}}'
          }
        ],
        about:
          'Share of the delivered messages that had been sent to an earlier session, which ended without a receipt.'
      },
      {
        title: 'Not accepted',
        unit: 'mps',
        queries: [per('reason', M.rejected), { expr: `sum(${rate(M.expired)})`, legend: 'expired' }]
      },
      { title: 'Accept', unit: 's', queries: quantiles(M.acceptSeconds, 'protocol'), about: M.acceptSeconds.help },
      {
        title: 'Delivery',
        unit: 's',
        queries: quantiles(M.deliverySeconds, 'protocol'),
        about: M.deliverySeconds.help
      },
      { title: 'Receipt', unit: 's', queries: quantiles(M.receiptSeconds, 'protocol'), about: M.receiptSeconds.help }
    ]
  ],
  [
    'Mailboxes and windows',
    [
      { title: 'Waiting messages', unit: 'short', queries: [shared(M.queueEntries)] },
      { title: 'Waiting bytes', unit: 'bytes', queries: [shared(M.queueBytes)] },
      { title: 'Oldest waiting message', unit: 's', queries: [shared(M.queueOldestAge)] },
      { title: 'Windows', unit: 'bytes', queries: [sum(M.windowBytes)], about: M.windowBytes.help },
      {
        title: 'Longest stall of a connected recipient',
        unit: 's',
        queries: [shared(M.deliveryStalled)],
        about: M.deliveryStalled.help
      },
      {
        title: 'Group commits',
        unit: 'short',
        queries: [mean(M.commitGroup, 'protocol'), sum(M.commitWaiting, '{{protocol}} waiting')],
        about: 'Messages in one commit, on average, and messages that wait for one.'
      }
    ]
  ],
  [
    'Sockets and frames',
    [
      { title: 'Frames', unit: 'cps', queries: [per('type', M.framesReceived)] },
      { title: 'Frames refused', unit: 'cps', queries: [per('code', M.framesRefused)] },
      { title: 'Received', unit: 'Bps', queries: [per('protocol', M.frameBytes)] },
      { title: 'Sockets closed', unit: 'cps', queries: [per('reason', M.socketsClosed)] },
      {
        title: 'Sockets refused, pongs of proxies',
        unit: 'cps',
        queries: [per('reason', M.socketsRefused), { expr: `sum(${rate(M.proxyPongs)})`, legend: 'proxy pongs' }]
      },
      { title: 'Proofs', unit: 'cps', queries: [per('algorithm, result', M.proofs)] }
    ]
  ],
  [
    'Database, proofs, audit trail',
    [
      { title: 'Commit', unit: 's', queries: quantiles(M.commitSeconds, 'protocol') },
      {
        title: 'Database',
        unit: 'short',
        queries: [
          each(M.databaseConnections, '{{instance}} connections'),
          { expr: `sum by (instance) (${rate(M.databaseUnanswered)})`, legend: '{{instance}} unanswered/s' },
          each(M.databaseOldestSnapshot, '{{instance}} oldest transaction (s)')
        ]
      },
      {
        title: 'Proof duration',
        unit: 's',
        queries: quantiles(M.proofSeconds, 'algorithm'),
        about: M.proofSeconds.help
      },
      {
        title: 'Audit log',
        unit: 'short',
        queries: [
          { expr: `max(${of(M.auditLogRecords)})`, legend: 'records' },
          { expr: `max(${of(M.auditWaiting)})`, legend: 'waiting events' },
          { expr: `sum(${of(M.auditHaltedLogs)})`, legend: 'halted logs' }
        ]
      },
      {
        title: 'Checkpoint age and anchor lag',
        unit: 's',
        queries: [
          { expr: `max(${of(M.auditCheckpointAge)})`, legend: 'checkpoint age' },
          { expr: `max(${of(M.auditAnchorLag)})`, legend: 'anchor lag' },
          { expr: `max(${of(M.auditIntegrationLag)})`, legend: 'integration lag' }
        ]
      },
      {
        title: 'Anchor failures',
        unit: 'cps',
        queries: [{ expr: `sum(${rate(M.auditAnchorFailures)})`, legend: 'failures' }]
      }
    ]
  ],
  [
    'Process',
    [
      {
        title: 'Event loop lag',
        unit: 's',
        queries: [each(M.eventLoopLagP99, '{{instance}} p99'), each(M.eventLoopLagMax, '{{instance}} max')]
      },
      {
        title: 'Processor and event loop',
        unit: 'percentunit',
        queries: [
          { expr: rate(M.cpuSeconds), legend: '{{instance}} processor' },
          each(M.eventLoopUtilization, '{{instance}} event loop')
        ]
      },
      {
        title: 'Memory',
        unit: 'bytes',
        queries: [each(M.residentMemory, '{{instance}} resident'), each(M.heapUsed, '{{instance}} heap')]
      }
    ]
  ]
]

/** `deploy/grafana/dashboards/demos-relay.json`. */
export function dashboard(): object {
  const panels: object[] = []
  let y = 0
  for (const [title, row] of ROWS) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: []
    })
    y += 1
    for (const [place, panel] of row.entries()) {
      const [x, down] = [(place % PANELS_A_ROW) * WIDTH, Math.floor(place / PANELS_A_ROW) * HEIGHT]
      panels.push(panelOf(panel, panels.length + 1, { x, y: y + down, w: WIDTH, h: HEIGHT }))
    }
    y += Math.ceil(row.length / PANELS_A_ROW) * HEIGHT
  }
  return {
    ...{
      uid: 'demos-relay',
      title: 'Demos Relay',
      tags: ['demos-relay'],
      schemaVersion: 39,
      version: 1,
      editable: true
    },
    ...{ refresh: '10s', time: { from: 'now-1h', to: 'now' }, timezone: 'browser', graphTooltip: 1 },
    templating: { list: [DATASOURCE_CHOICE, INSTANCE_CHOICE] },
    annotations: { list: [] },
    panels
  }
}

const DATASOURCE = { type: 'prometheus', uid: '$datasource' }
const DATASOURCE_CHOICE = {
  name: 'datasource',
  type: 'datasource',
  query: 'prometheus',
  label: 'Data source',
  refresh: 1
}
const INSTANCE_CHOICE = {
  ...{ name: 'instance', label: 'Server', type: 'query', datasource: DATASOURCE, refresh: 2, sort: 1 },
  ...{ multi: true, includeAll: true, allValue: '.*', current: { text: 'All', value: '$__all' } },
  query: { query: `label_values(${METRICS.buildInfo.name}, instance)`, refId: 'instance' }
}

function panelOf({ title, unit, queries, about }: Panel, id: number, gridPos: object): object {
  return {
    ...{ id, type: 'timeseries', title, gridPos, datasource: DATASOURCE },
    ...(about === undefined ? {} : { description: about }),
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(({ expr, legend }, place) => ({
      ...{ refId: String.fromCharCode(65 + place), datasource: DATASOURCE, expr, legendFormat: legend, range: true }
    }))
  }
}
