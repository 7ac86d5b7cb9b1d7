// How requests are checked, and how lists are read page by page.
import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { faultInWords } from '../../src/util/schema-words.ts'
import { ProblemError } from './problems.ts'

type Part = 'body' | 'querystring' | 'params' | 'headers'
const WORDS: Record<Part, string> = { body: 'body', querystring: 'query', params: 'params', headers: 'headers' }

/**
 * Checks one part of a request. A body is taken as it is; the texts of a path and a query become the numbers and truth
 * values they stand for. Nothing is dropped or corrected: a misspelt filter must not purge everything.
 */
export function checkerFor(schema: TSchema, part: Part): (input: unknown) => { value: unknown } | { error: Error } {
  const check = TypeCompiler.Compile(schema)
  const isText = part === 'querystring' || part === 'params'
  const read = isText ? (input: unknown) => readTexts(schema as TObject, input) : (input: unknown) => input
  return (input) => {
    const value = read(input)
    if (check.Check(value)) return { value }
    const fault = check.Errors(value).First()
    const field = `${WORDS[part]}${fault?.path ?? ''}`
    const words = fault === undefined ? `${field} is wrong` : faultInWords({ ...fault, path: `/${field}` }, field)
    return { error: new ProblemError('invalid-request', words, field) }
  }
}

function readTexts({ properties }: TObject, input: unknown): unknown {
  const entries = Object.entries(input as Record<string, unknown>)
  return Object.fromEntries(entries.map(([name, text]) => [name, readText(properties[name], text)]))
}

/** Only plain forms: a text that is none of them is left for the check to refuse. */
function readText(schema: TSchema | undefined, text: unknown): unknown {
  if (schema?.type === 'integer' && typeof text === 'string' && /^(0|[1-9]\d{0,14})$/.test(text)) return Number(text)
  if (schema?.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

const MAX_LIMIT = 200
const DEFAULT_LIMIT = 50

/** What every list can be asked: how much, and where to go on. */
export const PageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT, description: 'Most items on the page.' })
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 4_096, description: '`nextCursor` of the page before. Its form may change any time.' })
  )
}

/** What lists of names can be asked. */
export const SearchQuery = {
  search: Type.Optional(
    Type.String({
      ...{ minLength: 1, maxLength: 256, pattern: '^[^\\0]*$' },
      'x-allowed': 'text of 1 to 256 characters, without NUL',
      description: 'Only names that begin so, whatever the case of their letters (A to Z).'
    })
  )
}

/** By what a list can be sorted; a minus in front: descending. The first is what it is sorted by without being asked. */
export const sortQuery = (keys: readonly string[]) => ({
  sort: Type.Optional(
    Type.String({
      pattern: `^-?(${keys.join('|')})$`,
      'x-allowed': `one of ${keys.join(', ')}, or one of them with a minus in front`,
      default: keys[0],
      description: `By ${keys.join(', ')}; with a minus in front, descending. Equal ones are sorted by name.`
    })
  )
})

export interface Sort<K extends string> {
  readonly key: K
  readonly isDescending: boolean
}

export function sortOf<K extends string>(text: string | undefined, keys: readonly K[]): Sort<K> {
  const isDescending = text?.startsWith('-') === true
  return { key: (text === undefined ? keys[0] : text.replace(/^-/, '')) as K, isDescending }
}

/** A place in a sorted list: the order it belongs to, the value, and the name. */
const SortedPlace = Type.Tuple([
  Type.String(),
  Type.Union([Type.Number(), Type.String()]),
  Type.String({ maxLength: 128 }),
  Type.String({ maxLength: 256 })
])

/** Where a sorted list goes on. Throws for a cursor of another order. */
export function sortedPlace({ cursor, sort }: { cursor?: string | undefined; sort?: string | undefined }) {
  const place = placeOf(cursor, SortedPlace)
  if (place === undefined) return undefined
  const [order, value, network, peer] = place
  refuseOtherOrder(order, sort)
  return { value, network, peer }
}

export function refuseOtherOrder(ofCursor: string, sort: string | undefined): void {
  if (ofCursor === sort) return
  throw new ProblemError('invalid-request', 'the cursor belongs to another order', 'query/cursor')
}

export const Total = Type.Union([Type.Integer(), Type.Null()], {
  description: 'How many fit the filters, on all pages; null: counting them took too long.'
})
export const TotalQuery = {
  total: Type.Optional(Type.Boolean({ default: false, description: 'Tell how many there are, too.' }))
}

/** PostgreSQL's query_canceled: the statement took longer than it may. */
const isCancelled = (error: unknown) => (error as { code?: unknown }).code === '57014'

/** What is counted; null when counting takes longer than it may. */
export async function totalInTime(count: () => Promise<number>): Promise<number | null> {
  try {
    return await count()
  } catch (error) {
    if (isCancelled(error)) return null
    throw error
  }
}

/** What is read; a problem when sorting takes longer than it may. */
export async function inTime<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!isCancelled(error)) throw error
    throw new ProblemError('too-slow', 'there is too much to sort: sort by name, or choose a network')
  }
}

export const NextCursor = Type.Union([Type.String(), Type.Null()], { description: 'Null: this is the last page.' })

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** The place a cursor stands for; undefined without one. Throws for a cursor that no page has returned. */
export function placeOf<S extends TSchema>(cursor: string | undefined, schema: S): Static<S> | undefined {
  if (cursor === undefined) return undefined
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Value.Check(schema, place) && cursorOf(place) === cursor) return place
  } catch {
    // not JSON: refused like every other wrong cursor
  }
  throw new ProblemError('invalid-request', 'not a cursor of this list', 'query/cursor')
}

const cursorOf = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url')

/**
 * Reads one page. `read` is asked for one item more than fits, which says whether there are more. The next page begins
 * after the place of the last item, so items that come or go meanwhile neither double nor hide the others.
 */
export async function readPage<T>(
  limit: number = DEFAULT_LIMIT,
  read: (limit: number) => Promise<readonly T[]> | readonly T[],
  placeAfter: (last: T) => unknown
): Promise<Page<T>> {
  const found = await read(limit + 1)
  const items = found.slice(0, limit)
  return { items, nextCursor: found.length > limit ? cursorOf(placeAfter(items.at(-1)!)) : null }
}
