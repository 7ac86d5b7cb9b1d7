// The frames of both protocols as a page for people.
import type { TSchema } from '@sinclair/typebox'
import { PROTOCOLS, type ProtocolDoc } from '../protocol/frames.ts'
import { anchor, markdownPage, table } from './markdown.ts'

export const framesPage = (): string =>
  markdownPage(
    'WebSocket protocols',
    `Every frame is one JSON object: \`{"type": …, "payload": {…}}\`. This page is made from the schemas
that validate the frames. For machines: [asyncapi.json](asyncapi.json).
What errors mean: [errors](errors). REST: [OpenAPI](./).

${PROTOCOLS.map(contents).join('\n\n')}

${PROTOCOLS.map(section).join('\n\n')}`
  )

type Way = 'client' | 'server'
const idOf = (protocol: ProtocolDoc, way: Way, type: string) => `${protocol.name}-${way}-${type}`
const code = (text: string) => `\`${text}\``

function contents(protocol: ProtocolDoc): string {
  const links = (way: Way, frames: readonly { readonly type: string }[]) =>
    frames.map(({ type }) => `[${code(type)}](#${idOf(protocol, way, type)})`).join(', ')
  const clientFrames = protocol.clientFrames.map(({ frame }) => frame)
  const [received, sent] = [links('client', clientFrames), links('server', protocol.serverFrames)]
  return `**${protocol.title}**, from clients: ${received}; from the server: ${sent}`
}

const REQUEST_IDS =
  'Beside `type` and `payload`, frames have `timestamp` (ms since 1970) and may have `requestId`, ' +
  'which the reply carries back.'

function section(protocol: ProtocolDoc): string {
  const { title, description, name, port, clientFrames, serverFrames, hasRequestIds } = protocol
  const requests = clientFrames.map(({ frame, summary, answers }) => {
    const answered = answers.length === 0 ? 'Never answered.' : `Answered by ${answers.map(code).join(', ')}.`
    return entry(protocol, 'client', frame, `${summary} ${answered}`)
  })
  const pushes = serverFrames.map((frame) => entry(protocol, 'server', frame, frame.summary))
  return [
    `## ${title}`,
    `${description} Port ${port}, path \`/\` or \`/${name}\`.`,
    ...(hasRequestIds ? [REQUEST_IDS] : []),
    ...[...requests, ...pushes]
  ].join('\n\n')
}

const WAYS: Readonly<Record<Way, string>> = { client: 'client → server', server: 'server → client' }

function entry(
  protocol: ProtocolDoc,
  way: Way,
  { type, payload }: { readonly type: string; readonly payload: TSchema },
  about: string
): string {
  const members = membersOf(payload)
  return `### ${anchor(idOf(protocol, way, type), type)} ${WAYS[way]}

${about}

${members.length === 0 ? 'Its payload is empty.' : table(['member', 'type', 'meaning'], members)}`
}

/** A row for each member, and for each member of an object or of an array's objects. */
function membersOf(schema: TSchema, prefix = ''): string[][] {
  const required = new Set<string>(schema.required ?? [])
  return Object.entries<TSchema>(schema.properties ?? {}).flatMap(([name, member]) => {
    const path = `${prefix}${name}`
    const kind = `${kindOf(member)}${required.has(name) ? '' : ', optional'}`
    const inner = member.type === 'array' ? member.items : member
    const below = inner?.type === 'object' ? membersOf(inner, `${path}${member.type === 'array' ? '[]' : ''}.`) : []
    return [[code(path), kind, member.description ?? inner?.description ?? ''], ...below]
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
