import type { TObject, TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { ProblemError } from './problems.ts'

type Part = 'body' | 'querystring' | 'params' | 'headers'
const WORDS: Record<Part, string> = { body: 'body', querystring: 'query', params: 'params', headers: 'headers' }

/**
 * Checks one part of a request. A body is taken as it is; the texts of a query become the numbers and truth values they
 * stand for. Nothing is dropped or put right: a misspelt filter must not purge everything.
 */
export function checkerFor(schema: TSchema, part: Part): (input: unknown) => { value: unknown } | { error: Error } {
  const check = TypeCompiler.Compile(schema)
  const read =
    part === 'querystring' ? (input: unknown) => readQuery(schema as TObject, input) : (input: unknown) => input
  return (input) => {
    const value = read(input)
    if (check.Check(value)) return { value }
    const fault = check.Errors(value).First()
    const field = `${WORDS[part]}${fault?.path ?? ''}`
    return { error: new ProblemError('invalid-request', `${field}: ${fault?.message ?? 'invalid'}`, field) }
  }
}

function readQuery({ properties }: TObject, input: unknown): unknown {
  const entries = Object.entries(input as Record<string, unknown>)
  return Object.fromEntries(entries.map(([name, text]) => [name, readText(properties[name], text)]))
}

/** Only plain forms: a text that is none of them is left for the check to refuse. */
function readText(schema: TSchema | undefined, text: unknown): unknown {
  if (schema?.type === 'integer' && typeof text === 'string' && /^(0|[1-9]\d{0,14})$/.test(text)) return Number(text)
  if (schema?.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
