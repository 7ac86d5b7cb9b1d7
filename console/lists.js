// A list of the API, page by page, kept fresh.
import { ask, Refusal } from './api.js'
import { element, setText, visible } from './dom.js'
import { choice, textField } from './fields.js'
import { count } from './format.js'
import { poll } from './polling.js'
import { changeRoute } from './router.js'

const SIZES = ['25', '50', '100', '200']
const SIZE = '25'
const EVERY_MS = 5_000
/** Rest after a key until the list follows, in ms. */
const TYPING_MS = 200

/**
 * What is shown of a list: its filters by name, `sort`, `size`, `cursor` of the page, and how many items are before it.
 * @typedef {Record<string, string>} View
 */
/** `isRare`: it has a field only while it is set. @typedef {readonly [name: string, label: string, isRare?: boolean]} Filter */

/**
 * @template T
 * @param {HTMLElement} host
 * @param {{ parts: readonly string[], field: string, filters?: readonly Filter[],
 *   page?: string, sort?: string, isCounted?: boolean, isWhole?: boolean,
 *   table: (host: HTMLElement) => import('./tables.js').LiveTable<T>,
 *   report?: (error: Refusal | undefined) => void }} options
 *   `page`: the page of the address that keeps the view. `sort`: the order without being asked. `isCounted`: the API tells the
 *   total when asked to. `isWhole`: the API tells all of it at once. `report` hears how every look went, undefined: well; it tells what is wrong with more than this list.
 */
export function pagedList(
  host,
  { parts, field, filters = [], page, sort = '', isCounted = false, isWhole = false, table, report }
) {
  const names = [...filters.map(([name]) => name), 'sort', 'size', 'cursor', 'before']
  /** @type {View} */
  let view = {}
  /** Cursors of the pages before this one, as far as they are known. @type {(string | undefined)[]} */
  let earlier = []
  /** @type {string | null} */
  let next = null
  const tableHost = element('div')
  const note = element('p', { class: 'problem', role: 'alert' })
  const pager = newPager({
    back: () => {
      const before = Number(view.before ?? 0) - Number(view.size ?? SIZE)
      const isKnown = earlier.length > 0 && before > 0
      const cursor = isKnown ? earlier.pop() : undefined
      if (!isKnown) earlier = []
      change({ cursor, before: isKnown && cursor !== undefined ? String(before) : undefined }, true)
    },
    on: () => {
      if (next === null) return
      earlier.push(view.cursor)
      change({ cursor: next, before: String(Number(view.before ?? 0) + Number(view.size ?? SIZE)) }, true)
    },
    resize: (size) => start({ size: size === SIZE ? undefined : size })
  })
  host.replaceChildren(note, tableHost, pager.nav)
  const form = filters.length > 0 ? newFilter(filters, (values) => start(values)) : undefined
  if (form !== undefined) host.closest('section')?.querySelector('.head')?.append(form.element)
  const shown = table(tableHost)
  shown.onSort?.((order) => start({ sort: order === sort ? undefined : order }))

  /** @param {Record<string, string | undefined>} changes @param {boolean} [isStep] */
  function change(changes, isStep = false) {
    if (page !== undefined) return changeRoute(changes, isStep)
    take({ ...view, .../** @type {View} */ (changes) })
    polling.refresh()
  }

  /** Another filter or order: from the first page on. @param {Record<string, string | undefined>} changes */
  function start(changes) {
    earlier = []
    change({ ...changes, cursor: undefined, before: undefined })
  }

  /** @param {View} wanted */
  function take(wanted) {
    view = Object.fromEntries(names.flatMap((name) => (wanted[name] ? [[name, wanted[name]]] : [])))
    form?.show(view)
    pager.size(view.size ?? SIZE)
    shown.sorted?.(view.sort ?? sort)
  }

  const isFiltered = () => filters.some(([name]) => view[name] !== undefined)

  async function look() {
    const asked = view
    const { size = SIZE, before, ...query } = asked
    const total = isCounted ? { total: true } : {}
    const answer = await ask('GET', parts, isWhole ? {} : { query: { sort, ...query, limit: size, ...total } })
    if (asked !== view) return polling.refresh() // the reader has gone on meanwhile
    /** @type {readonly T[]} */
    const items = answer[field]
    if (items.length === 0 && view.cursor !== undefined) return start({}) // the page has emptied
    next = answer.nextCursor ?? null
    shown.empty?.(
      isFiltered() ? `No match for ${filters.flatMap(([name]) => quoted(view[name])).join(', ')}.` : undefined
    )
    shown.show(items)
    pager.show(Number(before ?? 0), items.length, next !== null, answer.total)
    setText(note, silence(answer.unanswered, 'what is there is missing'))
    report?.(undefined)
  }

  const polling = poll(EVERY_MS, look, (error) => {
    const refusal = error instanceof Refusal ? error : new Refusal(String(error), 0)
    const isSlow = refusal.problem === 'too-slow'
    report?.(isSlow ? undefined : refusal)
    const isOurs = report === undefined || isSlow || refusal.status === 400 || refusal.status === 404
    setText(note, isOurs ? refusal.message : '')
  })
  return {
    ...polling,
    /** Follows the address. @param {URLSearchParams} params */
    enter(params) {
      take(Object.fromEntries(params))
      polling.refresh()
    },
    /** Only items whose names begin so. @param {Record<string, string | undefined>} values */
    filter: (values) => start(values)
  }
}

/**
 * What is said of relays that did not answer; nothing where all of them did.
 * @param {readonly string[] | undefined} relays
 * @param {string} consequence
 */
export const silence = (relays, consequence) =>
  relays === undefined ? '' : `No answer of ${relays.map(visible).join(', ')}: ${consequence}.`

/** @param {string | undefined} text */
const quoted = (text) => (text === undefined ? [] : [`“${visible(text)}”`])

/**
 * Two buttons, the places of what is between them, and how much is on a page; nothing while there is little.
 * @param {{ back: () => void, on: () => void, resize: (size: string) => void }} moves
 */
function newPager({ back, on, resize }) {
  const button = (/** @type {string} */ label, /** @type {() => void} */ click) =>
    element('button', { type: 'button', class: 'quiet', click }, label)
  const [previous, following, where] = [button('Previous', back), button('Next', on), element('span')]
  const sizes = choice(
    'A page has',
    SIZES.map((size) => [size, size])
  )
  sizes.input.addEventListener('change', () => resize(sizes.input.value))
  const nav = element('nav', { class: 'pager', 'aria-label': 'Pages' }, where, sizes.label, previous, following)
  nav.hidden = true
  return {
    nav,
    /** @param {string} size */
    size: (size) => {
      sizes.input.value = size
    },
    /** @param {number} before @param {number} length @param {boolean} isMore @param {number | null | undefined} total */
    show(before, length, isMore, total) {
      const isOne = before === 0 && !isMore
      nav.hidden = length === 0
      previous.hidden = following.hidden = isOne
      sizes.label.hidden = isOne && length <= Number(SIZE)
      previous.disabled = before === 0
      following.disabled = !isMore
      const all = total ?? (isMore ? undefined : before + length)
      const places = `${count(before + 1)}–${count(before + length)}`
      const words = isOne ? `${count(length)} in all` : `${places} of ${count(all ?? 0)}`
      setText(where, all === undefined ? places : words)
    }
  }
}

/**
 * Follows the keys.
 * @param {readonly Filter[]} filters
 * @param {(values: Record<string, string | undefined>) => void} onChange
 */
function newFilter(filters, onChange) {
  const fields = filters.map(([name, label, isRare = false]) => ({
    ...{ name, isRare },
    ...textField(label, { name, type: 'search', maxlength: 256 })
  }))
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  const values = () => Object.fromEntries(fields.map(({ name, input }) => [name, input.value.trim() || undefined]))
  const tell = () => {
    clearTimeout(timer)
    onChange(values())
  }
  const typed = () => {
    clearTimeout(timer)
    timer = setTimeout(tell, TYPING_MS)
  }
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault()
    tell()
  }
  const attributes = { class: 'row filter', 'aria-label': 'Show only', input: typed, submit }
  return {
    element: element('form', attributes, ...fields.map(({ label }) => label)),
    /** @param {View} view */
    show(view) {
      for (const { name, isRare, label, input } of fields) {
        label.hidden = isRare && view[name] === undefined
        if (document.activeElement !== input) input.value = view[name] ?? ''
      }
    }
  }
}
