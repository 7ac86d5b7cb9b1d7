// The stats of the overview: rates, sessions, what waits, receipts, the process.
import { lineChart, timeOf } from './chart.js'
import { byId, element, setText, visible } from './dom.js'
import { age, bytes, count, duration, milliseconds, percent, rate } from './format.js'
import { rateHistory, SPAN_MS, totals } from './rates.js'
import { linkTo } from './router.js'
import { liveTable } from './tables.js'

/** @typedef {import('./rates.js').Stats} Stats */
/** @typedef {import('./rates.js').Sample} Sample */
/** @typedef {Stats['protocols']['l2ps'] & { name: string }} Protocol */

const STRENGTHS = /** @type {const} */ ([
  ['ack', 'by the application'],
  ['pong', 'by its WebSocket'],
  ['none', 'without receipt']
])

/** Builds the cards; `show` puts an answer of /admin/stats in. */
export function statsBoard() {
  const history = rateHistory()
  const chart = ratesChart()
  const lag = lagChart()
  const sessions = liveTable(byId('sessions'), {
    caption: 'Sessions by protocol',
    isSmall: true,
    keyOf: nameOf,
    columns: [
      { title: 'Protocol', of: nameOf },
      { title: 'Sockets', kind: 'number', of: (one) => count(one.sessions) },
      { title: 'Registered', kind: 'number', of: (one) => count(one.registered), href: peersOf },
      { title: 'Peers', kind: 'number', of: (one) => count(one.peers), href: peersOf }
    ]
  })
  const waiting = liveTable(byId('waiting'), {
    caption: 'Waiting messages by protocol',
    isSmall: true,
    keyOf: nameOf,
    columns: [
      { title: 'Protocol', of: nameOf },
      { title: 'Messages', kind: 'number', of: ({ queue }) => count(queue.entries), href: queuesOf },
      { title: 'Size', kind: 'number', of: ({ queue }) => bytes(queue.bytes) },
      {
        title: 'Oldest',
        kind: 'number',
        of: ({ queue }) => age(queue.oldestAgeSeconds),
        href: () => linkTo('queues', { sort: 'oldest' })
      }
    ]
  })
  const receipts = receiptBars()
  return {
    /**
     * @param {Stats} stats
     * @param {number} time of the answer, ms since 1970
     */
    show(stats, time) {
      history.add(stats, time)
      chart.show(history.samples)
      lag.show(history.samples)
      const protocols = protocolsOf(stats)
      sessions.show(protocols)
      waiting.show(protocols)
      receipts(totals(stats).receipts)
      showFacts(stats)
    }
  }
}

/** @param {Protocol} protocol */
const nameOf = ({ name }) => name

/** L2PS has many networks; signaling is one. @param {Protocol} protocol */
const networkOf = ({ name }) => (name === 'Signaling' ? { network: 'signaling' } : {})
const peersOf = (/** @type {Protocol} */ protocol) => linkTo('peers', networkOf(protocol))
const queuesOf = (/** @type {Protocol} */ protocol) => linkTo('queues', networkOf(protocol))

/**
 * @param {Stats} stats
 * @returns {Protocol[]}
 */
const protocolsOf = ({ protocols: { signaling, l2ps } }) => [
  { name: 'Signaling', ...signaling },
  { name: 'L2PS', ...l2ps }
]

function ratesChart() {
  /** @type {Sample | undefined} */
  let latest
  const words = (/** @type {number | null | undefined} */ value) =>
    value === null || value === undefined ? '–' : rate(value)
  const chart = lineChart(/** @type {any} */ (byId('rates')), {
    series: [{ field: 'accepted', isFilled: true }, { field: 'delivered' }],
    mostMs: SPAN_MS,
    value: rate,
    label: (/** @type {readonly Sample[]} */ points) => {
      const most = Math.max(0, ...points.map(({ accepted }) => accepted ?? 0))
      return `Messages a second over the last minutes: accepted ${words(latest?.accepted)}, received ${words(latest?.delivered)}; at most ${rate(most)} accepted.`
    },
    onPoint: (/** @type {Sample | undefined} */ point) => {
      const shown = point ?? latest
      setText(byId('rate-accepted'), words(shown?.accepted))
      setText(byId('rate-delivered'), words(shown?.delivered))
      setText(byId('rate-time'), point === undefined ? '' : `at ${timeOf(point)}`)
    }
  })
  return {
    /** @param {readonly Sample[]} samples */
    show(samples) {
      latest = samples.at(-1)
      chart.show(samples)
    }
  }
}

function lagChart() {
  return lineChart(/** @type {any} */ (byId('lag')), {
    series: [{ field: 'lag' }],
    mostMs: SPAN_MS,
    value: rate,
    label: (/** @type {readonly Sample[]} */ points) =>
      `Event loop lag, 99th percentile, over the last minutes: now ${milliseconds(points.at(-1)?.lag ?? 0)}.`,
    onPoint: () => {}
  })
}

function receiptBars() {
  const bars = STRENGTHS.map(([strength, meaning]) => {
    const [fill, number, share] = [element('span', { class: `fill ${strength}` }), element('b'), element('span')]
    const line = element(
      'li',
      {},
      element('span', { class: 'term' }, element('b', {}, strength), ` ${meaning}`),
      element('span', { class: 'amount' }, number, ' ', share),
      element('span', { class: 'track', 'aria-hidden': 'true' }, fill)
    )
    return { strength, fill, number, share, line }
  })
  byId('receipts').replaceChildren(element('ul', { class: 'bars' }, ...bars.map(({ line }) => line)))
  return (/** @type {ReturnType<typeof totals>['receipts']} */ receipts) => {
    const all = receipts.ack + receipts.pong + receipts.none
    for (const { strength, fill, number, share } of bars) {
      const part = all === 0 ? 0 : receipts[strength] / all
      fill.style.width = `${part * 100}%` // by script: a style attribute would be refused
      setText(number, count(receipts[strength]))
      setText(share, percent(part))
    }
  }
}

/** @param {Stats} stats */
function showFacts(stats) {
  const { relay, version, uptimeSeconds, database, eventLoop, memory, networks, protocols, expiredTotal } = stats
  const kind = database.embedded ? 'embedded PostgreSQL' : 'PostgreSQL'
  const name = relay === undefined ? '' : `${visible(relay)} · `
  setText(byId('facts'), `${name}${version} · up ${duration(uptimeSeconds)} · ${kind}`)
  const values = {
    'lag-p50': milliseconds(eventLoop.lagP50Ms),
    'lag-p99': milliseconds(eventLoop.lagP99Ms),
    'lag-max': milliseconds(eventLoop.lagMaxMs),
    'under-way': count(protocols.signaling.window.messages + protocols.l2ps.window.messages),
    busy: percent(eventLoop.utilization),
    memory: bytes(memory.rssBytes),
    committing: count(database.waitingMessages),
    expired: count(expiredTotal),
    refused: count(protocols.signaling.refusedTotal + protocols.l2ps.refusedTotal),
    'network-count': `${count(networks.enabled)} of ${count(networks.count)}`
  }
  for (const [id, text] of Object.entries(values)) setText(byId(id), text)
}
