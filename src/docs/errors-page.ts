import { ERROR_SECTIONS, ERRORS_INTRODUCTION, type ErrorSection } from './errors.ts'
import { escapeHtml, htmlPage, htmlTable } from './html.ts'

/** The catalogue as a page: where the `type` of a problem leads to. */
export const errorsPage = (): string =>
  htmlPage(
    'errors',
    `<p>${escapeHtml(ERRORS_INTRODUCTION)} The frames: <a href="asyncapi">WebSocket protocols</a>.
REST: <a href="./">OpenAPI</a>.</p>`,
    ERROR_SECTIONS.map(section).join('')
  )

function section({ title, before, anchor, head, rows, after }: ErrorSection): string {
  const named = rows.map((row) => ({ id: `${anchor}${row[0]!.replaceAll('`', '')}`, cells: row.map(inline) }))
  const paragraph = (text: string | undefined) => (text === undefined ? '' : `<p>${inline(text)}</p>`)
  return `<section><h2>${escapeHtml(title)}</h2>${paragraph(before)}${htmlTable(head, named)}${paragraph(after)}</section>`
}

/** Markdown of which only `code` is used. */
const inline = (text: string) => escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>')
