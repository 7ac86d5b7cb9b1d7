// The frames of both protocols as a page for people.
import type { TSchema } from '@sinclair/typebox'
import { PROTOCOLS, type ProtocolDoc } from './frames.ts'
import { escapeHtml, htmlPage, htmlTable } from './html.ts'

export const asyncApiPage = (): string =>
  htmlPage(
    'WebSocket protocols',
    `<p>Every frame is one JSON object: <code>{"type": …, "payload": {…}}</code>. This page is made from the schemas that
validate the frames. For machines: <a href="asyncapi.json">asyncapi.json</a>. What errors mean: <a href="errors">errors</a>.
REST: <a href="./">OpenAPI</a>.</p><nav>${PROTOCOLS.map(contents).join('')}</nav>`,
    PROTOCOLS.map(section).join('')
  )

const anchor = (protocol: ProtocolDoc, way: string, type: string) => `${protocol.name}-${way}-${type}`

function contents(protocol: ProtocolDoc): string {
  const link = (way: string, type: string) =>
    `<a href="#${anchor(protocol, way, type)}"><code>${escapeHtml(type)}</code></a>`
  return `<p><b>${escapeHtml(protocol.title)}</b>, from clients: ${protocol.clientFrames
    .map(({ frame }) => link('client', frame.type))
    .join(', ')}; from the server: ${protocol.serverFrames.map(({ type }) => link('server', type)).join(', ')}</p>`
}

function section(protocol: ProtocolDoc): string {
  const fields = protocol.hasRequestIds
    ? '<p>Beside <code>type</code> and <code>payload</code>, frames have <code>timestamp</code> (ms since 1970) and may have <code>requestId</code>, which the reply carries back.</p>'
    : ''
  const requests = protocol.clientFrames.map(({ frame, summary, answers }) => {
    const answered = answers.length === 0 ? 'Never answered.' : `Answered by ${answers.map(code).join(', ')}.`
    return entry(
      anchor(protocol, 'client', frame.type),
      frame.type,
      'client → server',
      summary,
      frame.payload,
      answered
    )
  })
  const pushes = protocol.serverFrames.map(({ type, summary, payload }) =>
    entry(anchor(protocol, 'server', type), type, 'server → client', summary, payload, '')
  )
  return `<section><h2>${escapeHtml(protocol.title)}</h2><p>${escapeHtml(protocol.description)} Port ${protocol.port}, path
<code>/</code> or <code>/${protocol.name}</code>.</p>${fields}${requests.join('')}${pushes.join('')}</section>`
}

const code = (text: string) => `<code>${escapeHtml(text)}</code>`

function entry(id: string, type: string, way: string, summary: string, payload: TSchema, after: string): string {
  const rows = membersOf(payload).map(({ path, kind, about }) => ({
    cells: [code(path), escapeHtml(kind), escapeHtml(about)]
  }))
  const table = rows.length === 0 ? '<p>Its payload is empty.</p>' : htmlTable(['member', 'type', 'meaning'], rows)
  return `<article id="${id}"><h3>${code(type)} <span class="way">${way}</span></h3><p>${escapeHtml(summary)} ${after}</p>${table}</article>`
}

interface MemberRow {
  readonly path: string
  readonly kind: string
  readonly about: string
}

function membersOf(schema: TSchema, prefix = ''): MemberRow[] {
  const required = new Set<string>(schema.required ?? [])
  return Object.entries<TSchema>(schema.properties ?? {}).flatMap(([name, member]) => {
    const path = `${prefix}${name}`
    const kind = `${kindOf(member)}${required.has(name) ? '' : ', optional'}`
    const inner = member.type === 'array' ? member.items : member
    const below = inner?.type === 'object' ? membersOf(inner, `${path}${member.type === 'array' ? '[]' : ''}.`) : []
    return [{ path, kind, about: member.description ?? inner?.description ?? '' }, ...below]
  })
}

function kindOf(schema: TSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.anyOf) return schema.anyOf.map(kindOf).join(' | ')
  if (schema.type === 'array')
    return `array of ${kindOf(schema.items)}${limits(schema.minItems, schema.maxItems, 'items')}`
  if (schema.type === 'string') return `string${limits(schema.minLength, schema.maxLength, 'characters')}`
  if (schema.type === 'integer') return `integer${limits(schema.minimum, schema.maximum, '')}`
  return schema.type ?? 'any JSON'
}

function limits(least: number | undefined, most: number | undefined, unit: string): string {
  if (least === undefined && most === undefined) return ''
  const range = most === undefined ? `at least ${least}` : least === undefined ? `up to ${most}` : `${least} to ${most}`
  return ` (${range}${unit === '' ? '' : ` ${unit}`})`
}
