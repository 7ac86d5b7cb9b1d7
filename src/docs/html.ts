// What the pages made from the code share: no script, so they need no permission of the browser.
import { VERSION } from '../util/version.ts'

/** A text as it may stand in HTML, between tags or in a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** What such a page may load: nothing but its own style. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { margin: 0 auto; max-width: 64rem; padding: 1rem } h2 { margin-top: 3rem } h3 { margin-block: 2rem .25rem }
  p { overflow-wrap: anywhere } code { font-size: .9em } .wide { overflow-x: auto } td:first-child { white-space: nowrap }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884 }
  :target { background: #fd04 } .way { font-size: .8rem; font-weight: normal; opacity: .75 }
`

/** `title` is text, the rest HTML. */
export const htmlPage = (title: string, header: string, main: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Demos Relay: ${escapeHtml(title)}</title><style>${STYLE}</style></head><body>
<header><h1>Demos Relay ${escapeHtml(VERSION)}: ${escapeHtml(title)}</h1>
${header}</header>
<main>${main}</main></body></html>`

export interface HtmlRow {
  readonly id?: string
  /** HTML. */
  readonly cells: readonly string[]
}

/** `head` is text. */
export function htmlTable(head: readonly string[], rows: readonly HtmlRow[]): string {
  const titles = head.map((title) => `<th scope="col">${escapeHtml(title)}</th>`).join('')
  const body = rows.map(({ id, cells }) => {
    const name = id === undefined ? '' : ` id="${escapeHtml(id)}"`
    return `<tr${name}>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  return `<div class="wide"><table><thead><tr>${titles}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}
