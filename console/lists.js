// A list of the API, page by page, kept fresh.
import { ask, Refusal } from './api.js'
import { element, setText } from './dom.js'
import { textField } from './fields.js'
import { poll } from './polling.js'

const PAGE = 25
const EVERY_MS = 5_000

/**
 * @template T
 * @param {HTMLElement} host
 * @param {{ parts: readonly string[], field: string, filters?: readonly (readonly [name: string, label: string])[],
 *   table: (host: HTMLElement) => { show: (items: readonly T[]) => void },
 *   report?: (error: Refusal | undefined) => void }} options
 *   `report` hears how every look went, undefined: well; it tells what is wrong with more than this list
 */
export function pagedList(host, { parts, field, filters = [], table, report }) {
  /** @type {(string | undefined)[]} where the pages up to this one begin */
  let places = [undefined]
  /** @type {string | null} */
  let next = null
  /** @type {Record<string, string>} */
  let wanted = {}
  const tableHost = element('div')
  const note = element('p', { class: 'problem', role: 'alert' })
  const pager = newPager({
    back: () => goTo(places.slice(0, -1)),
    on: () => next !== null && goTo([...places, next])
  })
  host.replaceChildren(note, tableHost, pager.nav)
  if (filters.length > 0) {
    const form = newFilter(filters, (values) => {
      wanted = values
      goTo([undefined])
    })
    host.closest('section')?.querySelector('.head')?.append(form)
  }
  const shown = table(tableHost)

  /** @param {(string | undefined)[]} to */
  function goTo(to) {
    places = to
    polling.refresh()
  }

  async function look() {
    const answer = await ask('GET', parts, { query: { ...wanted, limit: PAGE, cursor: places.at(-1) } })
    /** @type {readonly T[]} */
    const items = answer[field]
    if (items.length === 0 && places.length > 1) return goTo(places.slice(0, -1)) // the page has emptied
    next = answer.nextCursor
    shown.show(items)
    pager.show((places.length - 1) * PAGE, items.length, next !== null)
    setText(note, '')
    report?.(undefined)
  }

  const polling = poll(EVERY_MS, look, (error) => {
    const refusal = error instanceof Refusal ? error : new Refusal(String(error), 0)
    report?.(refusal)
    const isOurs = report === undefined || refusal.status === 400 || refusal.status === 404
    setText(note, isOurs ? refusal.message : '')
  })
  return polling
}

/**
 * Two buttons, and the places of what is between them; nothing while there is one page.
 * @param {{ back: () => void, on: () => void }} moves
 */
function newPager({ back, on }) {
  const button = (/** @type {string} */ label, /** @type {() => void} */ click) =>
    element('button', { type: 'button', class: 'quiet', click }, label)
  const [previous, following, where] = [button('Previous', back), button('Next', on), element('span')]
  const nav = element('nav', { class: 'pager', 'aria-label': 'Pages' }, previous, where, following)
  nav.hidden = true
  return {
    nav,
    /** @param {number} before @param {number} length @param {boolean} isMore */
    show(before, length, isMore) {
      nav.hidden = before === 0 && !isMore
      previous.disabled = before === 0
      following.disabled = !isMore
      setText(where, `${before + 1}–${before + length}`)
    }
  }
}

/**
 * @param {readonly (readonly [name: string, label: string])[]} filters
 * @param {(values: Record<string, string>) => void} onChange
 */
function newFilter(filters, onChange) {
  const fields = filters.map(([name, label]) => ({ name, ...textField(label, { name, maxlength: 256 }) }))
  const tell = () => onChange(Object.fromEntries(fields.map(({ name, input }) => [name, input.value.trim()])))
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault()
    tell()
  }
  const attributes = { class: 'row filter', 'aria-label': 'Show only', change: tell, submit }
  return element('form', attributes, ...fields.map(({ label }) => label))
}
