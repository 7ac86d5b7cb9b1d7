import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ProblemError } from './problems.ts'

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

export const NextCursor = Type.Union([Type.String(), Type.Null()], { description: 'Null: this is the last page.' })

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** The place a cursor stands for; undefined without one. Throws for what no page of ours ever said. */
export function placeOf<S extends TSchema>(cursor: string | undefined, schema: S): Static<S> | undefined {
  if (cursor === undefined) return undefined
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Value.Check(schema, place) && cursorOf(place) === cursor) return place
  } catch {
    // no JSON: refused like the rest
  }
  throw new ProblemError('invalid-request', 'not a cursor of this list', 'query/cursor')
}

const cursorOf = (place: unknown) => Buffer.from(JSON.stringify(place)).toString('base64url')

/**
 * Reads one page. `read` is asked for one item more than fits, which says whether there are more. A page goes on after the
 * place of the last item, so what comes or goes meanwhile neither doubles nor hides what is there all the time.
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
