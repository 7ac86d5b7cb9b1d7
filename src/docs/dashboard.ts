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
  /** Default: lines over time. */
  readonly type?: 'stat' | 'state-timeline' | 'alertlist'
  /** Of a stat: from when on it is yellow and red; the other way round where less is worse. */
  readonly thresholds?: readonly [yellow: number, red: number]
}

/** Columns of the dashboard. */
const COLUMNS = 24
/** Columns and rows that a panel takes, by its type. */
const SIZES = { timeseries: [8, 8], stat: [4, 4], 'state-timeline': [12, 6], alertlist: [12, 6] } as const

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
      { title: 'Ready', type: 'stat', unit: 'ready', queries: [{ expr: `min(${of(M.ready)})`, legend: 'ready' }] },
      {
        title: 'Sessions now',
        type: 'stat',
        unit: 'short',
        queries: [{ expr: `sum(${of(M.sessions)})`, legend: 'sessions' }]
      },
      {
        ...{ title: 'Accepted now', type: 'stat', unit: 'mps' },
        queries: [{ expr: `sum(${rate(M.accepted)})`, legend: 'accepted' }]
      },
      {
        ...{ title: 'Waiting now', type: 'stat', unit: 'short' },
        queries: [{ expr: `sum(max by (protocol) (${of(M.queueEntries)}))`, legend: 'messages' }]
      },
      {
        ...{ title: 'Connections used', type: 'stat', unit: 'percentunit', thresholds: [0.6, 0.8] },
        queries: [{ expr: `sum(${of(M.sockets)}) / sum(${of(M.connectionsLimit)})`, legend: 'used' }],
        about: 'Of MAX_CONNECTIONS.'
      },
      {
        ...{ title: 'Certificate', type: 'stat', unit: 'd', thresholds: [30, 14] },
        queries: [{ expr: `(min(${of(M.tlsCertificateExpiry)}) - time()) / 86400`, legend: 'days' }],
        about: 'Days until the first TLS certificate ends; empty without TLS.'
      },
      {
        ...{ title: 'Ready over time', type: 'state-timeline', unit: 'ready' },
        queries: [each(M.ready, '{{instance}}')]
      },
      { title: 'Alerts', type: 'alertlist', unit: 'none', queries: [] },
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
      { title: 'Sockets read more slowly', unit: 'cps', queries: [per('budget', M.socketsSlowed)] },
      {
        title: 'Sockets refused, pongs of proxies',
        unit: 'cps',
        queries: [per('reason', M.socketsRefused), { expr: `sum(${rate(M.proxyPongs)})`, legend: 'proxy pongs' }]
      },
      {
        title: 'Handshakes that wait',
        unit: 'short',
        queries: [{ expr: `sum(${M.handshakesWaiting.name})`, legend: 'waiting' }]
      },
      {
        title: 'Cores for those who ask for much',
        unit: 'short',
        queries: [{ expr: `min(${M.noisyLimit.name})`, legend: '10: no limit' }]
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
        title: 'Disk',
        unit: 'bytes',
        queries: [
          each(M.dataFree, '{{instance}} free in DATA_DIR'),
          each(M.dataTotal, '{{instance}} disk of DATA_DIR'),
          { expr: `max(${of(M.databaseBytes)})`, legend: 'database' }
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
          { expr: `max(${of(M.auditHaltedLogs)})`, legend: 'halted logs' }
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
    'Cluster',
    [
      {
        title: 'Relays',
        unit: 'short',
        queries: [
          { expr: `max(${of(M.clusterRelays)})`, legend: 'most that one sees' },
          { expr: `min(${of(M.clusterRelays)})`, legend: 'fewest that one sees' }
        ],
        about: 'Relays whose leases hold. This row is empty for a relay that is alone.'
      },
      {
        title: 'Lease and bus',
        unit: 'none',
        queries: [each(M.clusterLease, '{{instance}} lease'), each(M.clusterBus, '{{instance}} bus')],
        about: '1: fine. Without its lease the peers of a relay count as away; without the bus it is told by Postgres.'
      },
      {
        title: 'Sessions by relay',
        unit: 'short',
        queries: [{ expr: `sum by (instance) (${of(M.sessions)})`, legend: '{{instance}}' }]
      },
      { title: 'Messages accepted by relay', unit: 'mps', queries: [per('instance', M.accepted)] },
      {
        title: 'Handed to other relays',
        unit: 'mps',
        queries: [
          { expr: `sum(${rate(M.clusterHandedOver)})`, legend: 'handed over' },
          { expr: `sum(${rate(M.clusterTaken)})`, legend: 'taken' }
        ],
        about: 'What is handed over and not taken was lost on the bus, and is read from the mailboxes.'
      },
      {
        title: 'Share that crosses',
        unit: 'percentunit',
        queries: [{ expr: `sum(${rate(M.clusterHandedOver)}) / sum(${rate(M.accepted)})`, legend: 'of those accepted' }]
      },
      {
        title: 'Misses and looks',
        unit: 'cps',
        queries: [
          { expr: `sum by (instance) (${rate(M.clusterMisses)})`, legend: '{{instance}} misses' },
          { expr: `sum by (instance) (${rate(M.clusterLooks)})`, legend: '{{instance}} looks' }
        ],
        about: 'A look every 30 s is usual; one a second while the bus is away.'
      },
      {
        title: "Waiting for other relays' receipts",
        unit: 'short',
        queries: [each(M.clusterSharedWaiting, '{{instance}}')],
        about: M.clusterSharedWaiting.help
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
    let [x, height] = [0, 0]
    for (const panel of row) {
      const [w, h] = SIZES[panel.type ?? 'timeseries']
      if (x + w > COLUMNS || (height > 0 && h !== height)) {
        x = 0
        y += height
      }
      panels.push(panelOf(panel, panels.length + 1, { x, y, w, h }))
      x += w
      height = h
    }
    y += height
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
    links: LINKS,
    templating: { list: [DATASOURCE_CHOICE, INSTANCE_CHOICE, CONSOLE_ADDRESS] },
    annotations: { list: [] },
    panels
  }
}

const DATASOURCE = { type: 'prometheus', uid: '$datasource' }
/** Where the console is, for the links to it. */
const CONSOLE_ADDRESS = {
  ...{ name: 'console', label: 'Console', type: 'textbox', query: 'http://localhost:3007/console/' },
  current: { text: 'http://localhost:3007/console/', value: 'http://localhost:3007/console/' }
}
const LINKS = [
  ['Console', 'overview'],
  ['Largest queues', 'queues'],
  ['Slowest peers', 'peers?sort=-round-trip'],
  ['Events', 'events']
].map(([title, page]) => ({
  title,
  type: 'link',
  icon: 'external link',
  targetBlank: true,
  url: `$\{console}#${page}`
}))
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

function panelOf(panel: Panel, id: number, gridPos: object): object {
  const { title, queries, about, type = 'timeseries' } = panel
  if (type === 'alertlist') return { id, type, title, gridPos, options: ALERT_LIST }
  return {
    ...{ id, type, title, gridPos, datasource: DATASOURCE },
    ...(about === undefined ? {} : { description: about }),
    fieldConfig: { defaults: defaultsOf(panel), overrides: [] },
    options: OPTIONS[type],
    targets: queries.map(({ expr, legend }, place) => ({
      ...{ refId: String.fromCharCode(65 + place), datasource: DATASOURCE, expr, legendFormat: legend, range: true }
    }))
  }
}

const ALERT_LIST = {
  ...{ showOptions: 'current', maxItems: 20, sortOrder: 3, groupMode: 'default', alertName: 'Relay' },
  stateFilter: { firing: true, pending: true, noData: false, normal: false, error: true }
}
const OPTIONS = {
  timeseries: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
  stat: { colorMode: 'value', graphMode: 'area', reduceOptions: { calcs: ['lastNotNull'] } },
  'state-timeline': { showValue: 'never', rowHeight: 0.8, legend: { displayMode: 'list', placement: 'bottom' } }
}

const READY = {
  type: 'value',
  options: { 1: { text: 'ready', color: 'green', index: 0 }, 0: { text: 'not ready', color: 'red', index: 1 } }
}

function defaultsOf({ unit, type, thresholds }: Panel): object {
  if (unit === 'ready')
    return { unit: 'none', mappings: [READY], color: { mode: 'thresholds' }, thresholds: steps([1, 1], 'red') }
  if (type === 'stat') return { unit, min: 0, color: { mode: 'thresholds' }, thresholds: steps(thresholds) }
  return { unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }
}

/** Green up to yellow and red; where red is the lower one, the other way round. */
function steps(limits?: readonly [yellow: number, red: number], below = 'green'): object {
  if (limits === undefined) return { mode: 'absolute', steps: [{ color: 'text', value: null }] }
  const [yellow, red] = limits
  const colours = yellow < red ? [below, 'yellow', 'red'] : ['red', 'yellow', 'green']
  const values = [null, ...[yellow, red].sort((a, b) => a - b)]
  return { mode: 'absolute', steps: values.map((value, place) => ({ color: colours[place], value })) }
}
