// Lines over time, as SVG: no library, no style attributes.
import { drawing } from './dom.js'
import { clock } from './format.js'

/**
 * @typedef {{ readonly time: number }} Point
 * @typedef {{ readonly field: string, readonly isFilled?: boolean }} Series
 */

const PADDING = { top: 10, right: 8, bottom: 22, left: 56 }
const MINUTE_MS = 60_000
/** Closer together than this, in pixels, the marks of time would touch. */
const MARK_WIDTH = 72
const [HOUR_MS, DAY_MS] = [60 * MINUTE_MS, 1_440 * MINUTE_MS]
/** Units that marks of time are told in, and how many of each lie between two of them. */
const STEPS = /** @type {const} */ ([
  ['min', MINUTE_MS, [1, 5, 15, 30]],
  ['h', HOUR_MS, [1, 3, 6, 12]],
  ['d', DAY_MS, [1, 2, 4]]
]).flatMap(([unit, unitMs, steps]) => steps.map((step) => ({ unit, unitMs, step: step * unitMs })))

/**
 * Draws into `svg` and redraws when it changes its size. `onPoint` hears what the pointer is at; undefined when it leaves.
 * @template {Point} P
 * @param {SVGSVGElement} svg
 * @param {{ series: readonly Series[], mostMs: number, spanMs?: () => number, label: (points: readonly P[]) => string,
 *   value: (value: number) => string, onPoint: (point: P | undefined) => void }} options
 */
export function lineChart(svg, { series, mostMs, spanMs: fixedMs, label, value, onPoint }) {
  /** @type {readonly P[]} */
  let points = []
  /** @type {number | undefined} */
  let pointerX
  const read = (/** @type {P} */ point, /** @type {string} */ field) =>
    /** @type {number | null} */ (/** @type {Record<string, unknown>} */ (point)[field])

  function draw() {
    const { width, height } = svg.getBoundingClientRect()
    if (width === 0) return
    const end = fixedMs === undefined ? (points.at(-1)?.time ?? 0) : Date.now()
    const grown = Math.min(Math.max(MINUTE_MS, end - (points[0]?.time ?? 0)), mostMs) // grows with what there is
    const spanMs = fixedMs?.() ?? grown
    const values = points.flatMap((point) => series.map(({ field }) => read(point, field) ?? 0))
    const top = niceTop(Math.max(0, ...values))
    const x = (/** @type {number} */ time) =>
      PADDING.left + (width - PADDING.left - PADDING.right) * (1 - (end - time) / spanMs)
    const y = (/** @type {number} */ number) =>
      height - PADDING.bottom - (height - PADDING.top - PADDING.bottom) * (number / top)
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
    svg.setAttribute('aria-label', label(points))
    const at = nearest(points, pointerX, x)
    svg.replaceChildren(
      ...gridLines(top, value, y, width),
      ...marksOfTime(spanMs, end, x, height),
      ...series.flatMap(({ field, isFilled }, place) =>
        runsOf(points, (point) => read(point, field)).flatMap((run) => {
          const line = run.map(({ time, number }) => `${x(time).toFixed(1)} ${y(number).toFixed(1)}`).join('L')
          const edges = `L${x(run.at(-1)?.time ?? 0).toFixed(1)} ${y(0)}L${x(run[0]?.time ?? 0).toFixed(1)} ${y(0)}Z`
          const stroke = drawing('path', { class: `line series-${place}`, d: `M${line}` })
          return isFilled
            ? [drawing('path', { class: `area series-${place}`, d: `M${line}${edges}` }), stroke]
            : [stroke]
        })
      ),
      ...(at === undefined ? [] : [cross(x(at.time), height)])
    )
    onPoint(at)
  }

  svg.addEventListener('pointermove', (event) => {
    pointerX = event.clientX - svg.getBoundingClientRect().left
    draw()
  })
  svg.addEventListener('pointerleave', () => {
    pointerX = undefined
    draw()
  })
  new ResizeObserver(draw).observe(svg)
  return {
    /** @param {readonly P[]} next oldest first */
    show(next) {
      points = next
      draw()
    }
  }
}

/**
 * A number to end the axis with, so that its half is one to read as well.
 * @param {number} largest
 */
function niceTop(largest) {
  if (largest <= 1) return 1
  const unit = 10 ** Math.floor(Math.log10(largest))
  return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((step) => step >= largest) ?? 10 * unit
}

/**
 * @param {number} top
 * @param {(value: number) => string} value
 * @param {(number: number) => number} y
 * @param {number} width
 */
function gridLines(top, value, y, width) {
  return [0, top / 2, top].flatMap((number) => [
    drawing('line', { class: 'grid', x1: PADDING.left, x2: width - PADDING.right, y1: y(number), y2: y(number) }),
    drawing('text', { x: PADDING.left - 8, y: y(number) + 4, 'text-anchor': 'end' }, value(number))
  ])
}

/**
 * @param {number} spanMs
 * @param {number} end
 * @param {(time: number) => number} x
 * @param {number} height
 */
function marksOfTime(spanMs, end, x, height) {
  const pixels = (/** @type {number} */ ms) => x(end) - x(end - ms)
  const fitting = STEPS.find(({ step }) => pixels(step) >= MARK_WIDTH)
  const { unit, unitMs, step } = fitting ?? { unit: 'min', unitMs: MINUTE_MS, step: spanMs }
  const isNarrow = pixels(step) < MARK_WIDTH * 1.5 // the first mark begins where its line is, and needs more room
  const length = Math.floor(spanMs / step) + (isNarrow && spanMs % step === 0 && spanMs > step ? 0 : 1)
  const marks = Array.from({ length }, (_, place) => place * step)
  return marks.map((ago) => {
    const anchor = ago === 0 ? 'end' : x(end - ago) < PADDING.left + MARK_WIDTH / 2 ? 'start' : 'middle'
    const words = ago === 0 ? 'now' : `−${Math.round(ago / unitMs)} ${unit}`
    return drawing('text', { x: x(end - ago), y: height - 5, 'text-anchor': anchor }, words)
  })
}

/**
 * @param {number} x
 * @param {number} height
 */
const cross = (x, height) =>
  drawing('line', { class: 'cross', x1: x, x2: x, y1: PADDING.top, y2: height - PADDING.bottom })

/**
 * @template {Point} P
 * @param {readonly P[]} points
 * @param {number | undefined} pointerX
 * @param {(time: number) => number} x
 * @returns {P | undefined}
 */
function nearest(points, pointerX, x) {
  if (pointerX === undefined) return undefined
  const distance = (/** @type {P} */ point) => Math.abs(x(point.time) - pointerX)
  return points.reduce((/** @type {P | undefined} */ best, point) => {
    return best === undefined || distance(point) < distance(best) ? point : best
  }, undefined)
}

/**
 * The stretches between gaps.
 * @template {Point} P
 * @param {readonly P[]} points
 * @param {(point: P) => number | null} read
 */
function runsOf(points, read) {
  /** @type {{ time: number, number: number }[][]} */
  const runs = [[]]
  for (const point of points) {
    const number = read(point)
    if (number === null || number === undefined) runs.push([])
    else runs.at(-1)?.push({ time: point.time, number })
  }
  return runs.filter((run) => run.length > 0)
}

/** @param {Point | undefined} point */
export const timeOf = (point) => (point === undefined ? '' : clock(point.time))
