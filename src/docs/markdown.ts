// The documents made from the code are Markdown. Some are files in docs/, some are pages that a server shows.
import { marked } from 'marked'
import { VERSION } from '../util/package-root.ts'

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')

/** A name as code that links can lead to. */
export const anchor = (id: string, name: string): string => `<code id="${id}">${name}</code>`

/** What such a page may load: nothing but its own style. It has no script. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
  body { margin: 0 auto; max-width: 64rem; padding: 1rem } h2 { margin-top: 3rem } h3 { margin-block: 2rem .25rem }
  p { overflow-wrap: anywhere } code { font-size: .9em } td:first-child { white-space: nowrap }
  table { border-collapse: collapse; display: block; overflow-x: auto }
  th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884 }
  tr:has(:target), h3:has(:target) { background: #fd04 }
`

/** The Markdown as a page. It comes from our own sources, so HTML in it is shown as HTML. */
export const markdownPage = (title: string, markdown: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Demos Relay: ${title}</title><style>${STYLE}</style></head><body><main>
${marked.parse(`# Demos Relay ${VERSION}: ${title}\n\n${markdown}`, { async: false })}</main></body></html>`
