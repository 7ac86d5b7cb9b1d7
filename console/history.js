// The last hour, day and week, from what the server keeps: small charts of one shape.
import { ask } from './api.js'
import { lineChart } from './chart.js'
import { byId, element, setText } from './dom.js'
import { bytes, clock, count, dateAndTime, milliseconds, rate } from './format.js'
import { poll } from './polling.js'
import { changeRoute } from './router.js'

/** @typedef {import('@sinclair/typebox').Static<typeof import('../plugins/admin/history.ts').HistoryAnswer>} History */
/** @typedef {History['points'][number]} Point */
/** @typedef {Record<string, number | null> & { time: number }} Drawn */

const EVERY_MS = 30_000
const HOUR_MS = 3_600_000
const SPANS = /** @type {const} */ ([
  ['hour', 'Hour', HOUR_MS],
  ['day', 'Day', 24 * HOUR_MS],
  ['week', 'Week', 168 * HOUR_MS]
])
/** Codes of errors that have a line of their own: the most frequent. */
const CODES = 4

const perMinute = (/** @type {number} */ value) => `${rate(value)}/min`
const perSecond = (/** @type {number} */ value) => `${rate(value)}/s`
const throughput = (/** @type {number} */ value) => `${bytes(value)}/s`

/** @type {readonly { id: string, title: string, value: (value: number) => string, lines: readonly (readonly [string, string])[] }[]} */
const CHARTS = [
  {
    ...{ id: 'messages', title: 'Messages', value: perSecond },
    lines: [
      ['accepted', 'accepted'],
      ['delivered', 'received']
    ]
  },
  {
    ...{ id: 'latency', title: 'Latency, 99th percentile', value: milliseconds },
    lines: [
      ['acceptP99', 'accept'],
      ['deliveryP99', 'delivery']
    ]
  },
  {
    ...{ id: 'sessions', title: 'Sessions', value: (value) => count(Math.round(value)) },
    lines: [
      ['sessions', 'sessions'],
      ['peers', 'peers']
    ]
  },
  { ...{ id: 'bytes', title: 'Received', value: throughput }, lines: [['bytes', 'bytes of frames']] },
  {
    ...{ id: 'waiting', title: 'Waiting', value: (value) => count(Math.round(value)) },
    lines: [['waiting', 'messages']]
  },
  { ...{ id: 'lag', title: 'Event loop lag', value: milliseconds }, lines: [['lagP99', '99th percentile']] }
]

/** Builds the charts; `enter` follows the span of the address. */
export function historyCharts() {
  let [span, spanMs] = /** @type {[string, number]} */ (['hour', HOUR_MS])
  const buttons = SPANS.map(([name, title]) => {
    const click = () => changeRoute({ span: name === 'hour' ? undefined : name })
    return { name, button: element('button', { type: 'button', class: 'quiet', click }, title) }
  })
  byId('spans').replaceChildren(...buttons.map(({ button }) => button))
  const charts = CHARTS.map((chart) => ({ ...chart, show: chartCard(chart, chart.lines, () => spanMs) }))
  const rejected = rejectedChart(() => spanMs)

  async function look() {
    const asked = span
    /** @type {History} */
    const { points, stepSeconds } = await ask('GET', ['history'], { query: { span } })
    if (asked !== span) return polling.refresh()
    const drawn = withGaps(points, stepSeconds * 1_000)
    for (const { show } of charts) show(drawn)
    rejected(points, stepSeconds * 1_000)
    byId('no-history').hidden = points.length > 0
  }
  const polling = poll(EVERY_MS, look, () => {}) // the poll of the stats says what is wrong
  return {
    ...polling,
    /** @param {URLSearchParams} params */
    enter(params) {
      const [name, , ms] = SPANS.find(([each]) => each === params.get('span')) ?? SPANS[0]
      ;[span, spanMs] = [name, ms]
      for (const each of buttons) each.button.setAttribute('aria-pressed', String(each.name === name))
      polling.refresh()
    }
  }
}

/**
 * A gap where the server did not run.
 * @param {readonly Point[]} points
 * @param {number} stepMs
 * @returns {Drawn[]}
 */
function withGaps(points, stepMs) {
  const drawn = points.map(({ at, rejected: _, ...values }) => ({ ...values, time: Date.parse(at) }))
  return drawn.flatMap((point, place) => {
    const before = drawn[place - 1]
    const isGap = before !== undefined && point.time - before.time > stepMs * 1.5
    return isGap ? [/** @type {Drawn} */ ({ time: point.time - 1 }), point] : [point]
  })
}

/**
 * A chart with its values: the newest, or those the pointer is at.
 * @param {{ id: string, title: string, value: (value: number) => string }} chart
 * @param {readonly (readonly [field: string, label: string])[]} lines
 * @param {() => number} spanMs
 */
function chartCard({ id, title, value }, lines, spanMs) {
  const values = lines.map(([field, label], place) => {
    const shown = element('b', {}, '–')
    return { field, label, shown, item: element('li', { class: `series-${place}` }, shown, ` ${label}`) }
  })
  const when = element('p', { class: 'hint' })
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('class', 'chart small')
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', `${title}: nothing yet`)
  const heading = element('h3', { id: `${id}-history` }, title)
  byId(`history-${id}`).replaceChildren(
    element('div', { class: 'head' }, heading, when),
    element('ul', { class: 'legend small' }, ...values.map(({ item }) => item)),
    svg
  )
  const words = (/** @type {number | null | undefined} */ number) =>
    number === null || number === undefined ? '–' : value(number)
  /** @type {Drawn | undefined} */
  let latest
  const chart = lineChart(/** @type {any} */ (svg), {
    ...{ series: lines.map(([field], place) => ({ field, isFilled: place === 0 })), mostMs: 0, spanMs, value },
    label: (/** @type {readonly Drawn[]} */ points) => {
      const most = Math.max(0, ...points.flatMap((point) => lines.map(([field]) => point[field] ?? 0)))
      const now = values.map(({ field, label }) => `${label} ${words(latest?.[field])}`).join(', ')
      return `${title}: ${now}; at most ${value(most)}.`
    },
    onPoint: (/** @type {Drawn | undefined} */ point) => {
      for (const { field, shown } of values) setText(shown, words((point ?? latest)?.[field]))
      const time =
        spanMs() > 24 * HOUR_MS ? dateAndTime : (/** @type {string} */ at) => clock(Date.parse(at)).slice(0, 5)
      setText(when, point === undefined ? '' : `at ${time(new Date(point.time).toISOString()).slice(0, 16)}`)
    }
  })
  return (/** @type {readonly Drawn[]} */ points) => {
    latest = points.at(-1)
    chart.show(points)
  }
}

/**
 * Frames refused, by the most frequent codes: which those are changes with the span.
 * @param {() => number} spanMs
 */
function rejectedChart(spanMs) {
  let drawnCodes = '?'
  /** @type {(points: readonly Drawn[]) => void} */
  let show = () => {}
  return (/** @type {readonly Point[]} */ points, /** @type {number} */ stepMs) => {
    /** @type {Map<string, number>} */
    const sums = new Map()
    for (const { rejected } of points) {
      for (const [code, number] of Object.entries(rejected)) sums.set(code, (sums.get(code) ?? 0) + number)
    }
    const codes = [...sums]
      .sort(([, a], [, b]) => b - a)
      .slice(0, CODES)
      .map(([code]) => code)
    const lines = codes.length === 0 ? [['refused', 'none']] : codes.map((code) => [code, code])
    if (drawnCodes !== codes.join()) {
      drawnCodes = codes.join()
      show = chartCard(
        { id: 'rejected', title: 'Refused, by code', value: perMinute },
        /** @type {any} */ (lines),
        spanMs
      )
    }
    const drawn = withGaps(points, stepMs)
    const byTime = new Map(points.map(({ at, rejected }) => [Date.parse(at), rejected]))
    show(
      drawn.map((point) => {
        const known = byTime.get(point.time)
        if (known === undefined) return point
        return { ...point, ...Object.fromEntries(codes.map((code) => [code, 60 * (known[code] ?? 0)])) }
      })
    )
  }
}
