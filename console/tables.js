// Tables that stay the same elements while their values change, so that focus and selection survive.
import { element, headingOf, nameElement, setText, visible } from './dom.js'

/**
 * @typedef {string | { text: string, tone?: 'good' | 'bad' | 'warn' | 'plain' }} Cell
 */
/**
 * `name`: a text of strangers. `number`: on the right. `mark`: one of a few words. `words`: a sentence, which may wrap.
 * `sort`: what the API sorts by it. `isLarge`: the largest come first. `href`: where the cell leads. `isOptional`: it is
 * only there while one of its cells has a text.
 * @template T
 * @typedef {{ title: string, kind?: 'name' | 'number' | 'mark' | 'words', of: (item: T) => Cell, sort?: string,
 *   isLarge?: boolean, isOptional?: boolean, href?: (item: T) => string | undefined }} Column
 */
/**
 * @template T
 * @typedef {{ show: (items: readonly T[]) => void, empty?: (words: string | undefined) => void,
 *   sorted?: (order: string) => void, onSort?: (listener: (order: string) => void) => void }} LiveTable
 */
/**
 * `label` is on the button; `about` goes on, for those who do not see the row. `isLook`: changes nothing.
 * @template T
 * @typedef {{ label: string | ((item: T) => string), about: (item: T) => string, isDangerous?: boolean, isLook?: boolean,
 *   isOffered?: (item: T) => boolean, run: (item: T) => void }} Action
 */

/**
 * A table that is filled by `show`. `isSmall`: it fits on a phone as it is; others become a pile of rows there.
 * @template T
 * @param {HTMLElement} host its heading takes the focus of a row that goes
 * @param {{ caption: string, empty?: string, isSmall?: boolean, columns: readonly Column<T>[], actions?: readonly Action<T>[],
 *   keyOf: (item: T) => string }} options
 * @returns {LiveTable<T>}
 */
export function liveTable(host, { caption, empty = '', isSmall = false, columns, actions = [], keyOf }) {
  const body = element('tbody')
  const sorting = sortable(columns)
  const { heads } = sorting
  if (actions.length > 0)
    heads.push(element('th', { scope: 'col', class: 'actions' }, element('span', { class: 'unseen' }, 'Actions')))
  const table = element(
    'table',
    {},
    element('caption', { class: 'unseen' }, caption),
    element('thead', {}, element('tr', {}, ...heads)),
    body
  )
  const nothing = element('p', { class: 'empty' }, empty)
  const scroller = element('div', { class: `table ${isSmall ? 'figures-table' : 'stacks'}` }, table)
  host.replaceChildren(scroller, nothing)
  scroller.hidden = true
  nothing.hidden = true

  /** @type {Map<string, ReturnType<typeof newRow<T>>>} */
  const rows = new Map()
  return {
    sorted: sorting.show,
    onSort: sorting.listen,
    empty: (words) => setText(nothing, words ?? empty),
    show(items) {
      scroller.hidden = items.length === 0
      nothing.hidden = items.length > 0
      const keys = new Set(items.map(keyOf))
      for (const [key, row] of rows) {
        if (keys.has(key)) continue
        if (row.line.contains(document.activeElement)) headingOf(host)?.focus()
        row.line.remove()
        rows.delete(key)
      }
      const focused = /** @type {HTMLElement | null} */ (document.activeElement)
      let place = body.firstElementChild
      for (const item of items) {
        const key = keyOf(item)
        const row = rows.get(key) ?? newRow(item, columns, actions)
        rows.set(key, row)
        row.update(item)
        if (row.line === place) place = place.nextElementSibling
        else body.insertBefore(row.line, place)
      }
      if (focused !== document.activeElement) focused?.focus() // its row has moved
      for (const [at, { isOptional, of }] of columns.entries()) {
        if (isOptional !== true) continue
        const isEmpty = items.every((item) => of(item) === '')
        for (const cells of [heads, ...[...rows.values()].map(({ line }) => line.cells)]) {
          const cell = cells[at]
          if (cell !== undefined) cell.hidden = isEmpty
        }
      }
    }
  }
}

/**
 * The heads of the columns; those that can be sorted by are buttons.
 * @template T
 * @param {readonly Column<T>[]} columns
 */
function sortable(columns) {
  /** @type {(order: string) => void} */
  let tell = () => {}
  let order = ''
  const heads = columns.map(({ title, kind = '', sort, isLarge = false }) => {
    const head = element('th', { scope: 'col', class: kind })
    const [first, second] = isLarge ? [`-${sort}`, sort] : [sort, `-${sort}`]
    const click = () => tell(String(order === first ? second : first))
    head.append(sort === undefined ? title : element('button', { type: 'button', class: 'sort', click }, title))
    return head
  })
  return {
    heads,
    /** @param {(order: string) => void} listener */
    listen: (listener) => {
      tell = listener
    },
    /** @param {string} next */
    show(next) {
      order = next
      for (const [at, { sort }] of columns.entries()) {
        const head = heads[at]
        if (sort === undefined || head === undefined) continue
        if (next.replace(/^-/, '') !== sort) head.removeAttribute('aria-sort')
        else head.setAttribute('aria-sort', next.startsWith('-') ? 'descending' : 'ascending')
      }
    }
  }
}

/**
 * @template T
 * @param {T} first
 * @param {readonly Column<T>[]} columns
 * @param {readonly Action<T>[]} actions
 */
function newRow(first, columns, actions) {
  let item = first
  const cells = columns.map(({ title, kind = '', of, href }) => {
    const cell = element('td', { class: kind, 'data-label': title })
    return { cell, kind, of, href }
  })
  const buttons = actions.map((action) => {
    const button = element('button', {
      type: 'button',
      class: [action.isDangerous ? 'danger' : '', action.isLook ? '' : 'changes'].join(' ').trim(),
      click: () => action.run(item)
    })
    return { button, action }
  })
  const line = element('tr', {}, ...cells.map(({ cell }) => cell))
  if (buttons.length > 0) line.append(element('td', { class: 'actions' }, ...buttons.map(({ button }) => button)))
  return {
    line,
    /** @param {T} next */
    update(next) {
      item = next
      for (const { cell, kind, of, href } of cells) fill(cell, kind, of(next), href?.(next))
      for (const { button, action } of buttons) {
        const label = typeof action.label === 'function' ? action.label(next) : action.label
        setText(button, label)
        button.setAttribute('aria-label', `${label} ${visible(action.about(next))}`)
        button.hidden = action.isOffered?.(next) === false
      }
    }
  }
}

/**
 * @param {HTMLElement} cell
 * @param {string} kind
 * @param {Cell} content
 * @param {string} [href]
 */
function fill(cell, kind, content, href) {
  const { text, tone = 'plain' } = typeof content === 'string' ? { text: content } : content
  if (href !== undefined) {
    const link = cell.querySelector('a') ?? cell.appendChild(element('a'))
    if (link.getAttribute('href') !== href) link.setAttribute('href', href)
    return fill(/** @type {any} */ (link), kind === 'mark' ? '' : kind, content)
  }
  if (kind === 'name') {
    if (cell.textContent !== visible(text)) cell.replaceChildren(nameElement(text))
  } else if (kind === 'mark' && text === '') cell.replaceChildren()
  else if (kind === 'mark') {
    const tag = cell.firstElementChild ?? cell.appendChild(element('span'))
    tag.className = `tag ${tone}`
    setText(tag, text)
  } else {
    cell.classList.toggle('good', tone === 'good')
    cell.classList.toggle('bad', tone === 'bad')
    setText(cell, text)
  }
}
