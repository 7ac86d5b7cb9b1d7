// Elements out of data: everything that comes from the server is put in as text, never as markup.

/** @typedef {string | Node | null | undefined | false} Child */

/**
 * An element. Attributes by their names in HTML; `true` sets one without a value, `false` and undefined leave it out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value)
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : String(value))
  }
  made.append(...children.filter(isThere))
  return made
}

const SVG = 'http://www.w3.org/2000/svg'

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(string | Node)} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  made.append(...children)
  return made
}

/**
 * The element with this id; the page has it.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @returns {E}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return /** @type {E} */ (found)
}

/** Characters that are not seen, or that change how others are: controls, overrides of direction, joiners, half pairs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/**
 * A name a stranger chose, so that it cannot pass for another or turn round what stands beside it.
 * @param {string} text
 */
export const visible = (text) =>
  text.replace(UNSEEN, (character) => `‹U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}›`)

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export const nameElement = (text) => element('bdi', { class: 'name', title: visible(text) }, visible(text))

/**
 * Sets a text that has changed: one that has not keeps its selection, and is not read out again.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/**
 * @param {Child} child
 * @returns {child is string | Node}
 */
const isThere = (child) => child !== null && child !== undefined && child !== false

/**
 * The heading of the part of the page that has this element: what takes the focus of something that is gone.
 * @param {Element | null} inside
 */
export const headingOf = (inside) =>
  /** @type {HTMLElement | null} */ (inside?.closest('section')?.querySelector('h2') ?? null)
