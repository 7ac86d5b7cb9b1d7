// Elements by script: text is always text, never HTML.
import encodeQR from 'qr'

/** The element of the page with this id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`no #${id} in the page`)
  return found as T
}

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  if (className !== '') made.className = className
  made.append(...children)
  return made
}

const SVG = 'http://www.w3.org/2000/svg'
/** Modules of white around the code, which scanners need. */
const BORDER = 4

/** The text as a QR code, dark on white in every colour scheme: scanners expect that. */
export function qrCode(text: string, label: string): SVGElement {
  const rows = encodeQR(text, 'raw', { border: BORDER, ecc: 'low' })
  const path = rows.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
  const svg = make('svg', { viewBox: `0 0 ${rows.length} ${rows.length}`, role: 'img', 'aria-label': label })
  svg.append(make('path', { d: `M0 0h${rows.length}v${rows.length}H0z`, fill: '#fff' }), make('path', { d: path }))
  return svg
}

function make(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(SVG, name) as SVGElement
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value)
  return made
}

const bytes = new Intl.NumberFormat('en')
export const sizeOf = (text: string): string => `${bytes.format(new TextEncoder().encode(text).length)} bytes`
export const number = (value: number): string => bytes.format(value)
